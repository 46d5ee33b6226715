//! Shamir shares, as HashiCorp Vault lays them out.
