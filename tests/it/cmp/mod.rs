//! `unsops cmp` under the real `argocd-cmp-server`, with repo-server's own client, and the manifests of `argocd/`.

mod charts;
mod deployment;
mod directory;
mod refusals;
mod rendering;
mod sidecar;
mod tenants;
