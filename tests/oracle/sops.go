package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	"github.com/getsops/sops/v3/age"
	"github.com/getsops/sops/v3/cmd/sops/common"
	"github.com/getsops/sops/v3/cmd/sops/formats"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/keyservice"
	"github.com/getsops/sops/v3/version"
)

// When every file was written.
var written = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Random numbers that the same seed gives again: data keys, shares, IVs. What is encrypted here is no secret.
func drawFrom(seed []byte) {
	rand.Reader = mathrand.NewChaCha8(sha256.Sum256(seed))
}

// The keys of new files, by recipients and threshold: files with the same ones share data key and wrapped shares, so
// that few of them cost an operation of age.
var wrapped = map[string]sops.Metadata{}

func keysFor(options options) (sops.Metadata, error) {
	name, err := json.Marshal([]any{options.Groups, options.ShamirThreshold})
	if err != nil {
		return sops.Metadata{}, err
	}
	if metadata, ok := wrapped[string(name)]; ok {
		return metadata, nil
	}
	metadata := sops.Metadata{ShamirThreshold: options.ShamirThreshold}
	for _, recipients := range options.Groups {
		var group sops.KeyGroup
		for _, recipient := range recipients {
			key, err := age.MasterKeyFromRecipient(recipient)
			if err != nil {
				return sops.Metadata{}, err
			}
			group = append(group, key)
		}
		metadata.KeyGroups = append(metadata.KeyGroups, group)
	}
	drawFrom(name)
	tree := sops.Tree{Metadata: metadata}
	if _, errs := tree.GenerateDataKeyWithKeyServices([]keyservice.KeyServiceClient{keyservice.NewLocalClient()}); len(errs) > 0 {
		return sops.Metadata{}, fmt.Errorf("data key: %v", errs)
	}
	wrapped[string(name)] = tree.Metadata
	return tree.Metadata, nil
}

// sops' local key service, which is asked only once about each wrapped share. It opens age keys and no others: their
// services would be asked over the network.
type service struct {
	local keyservice.KeyServiceClient
	known map[string]answered
}

type answered struct {
	response *keyservice.DecryptResponse
	err      error
}

var services = []keyservice.KeyServiceClient{&service{keyservice.NewLocalClient(), map[string]answered{}}}

func (s *service) Encrypt(context.Context, *keyservice.EncryptRequest, ...grpc.CallOption) (*keyservice.EncryptResponse, error) {
	return nil, errors.New("not asked for")
}

func (s *service) Decrypt(ctx context.Context, req *keyservice.DecryptRequest, opts ...grpc.CallOption) (*keyservice.DecryptResponse, error) {
	if req.Key.GetAgeKey() == nil {
		return nil, errors.New("no such key service here")
	}
	known, ok := s.known[string(req.Ciphertext)]
	if !ok {
		known.response, known.err = s.local.Decrypt(ctx, req, opts...)
		s.known[string(req.Ciphertext)] = known
	}
	return known.response, known.err
}

func storeFor(format formats.Format) common.Store {
	return common.StoreForFormat(format, config.NewStoresConfig())
}

// The steps of `sops encrypt` (cmd/sops/encrypt.go).
func encrypt(req request, format formats.Format) ([]byte, error) {
	store := storeFor(format)
	branches, err := store.LoadPlainFile(req.data)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if len(branches) < 1 {
		return nil, errors.New("load: no document")
	}
	if store.HasSopsTopLevelKey(branches[0]) {
		return nil, errors.New("load: encrypted already")
	}
	keys, err := keysFor(req.Options)
	if err != nil {
		return nil, err
	}
	tree := sops.Tree{
		Branches: branches,
		Metadata: sops.Metadata{
			UnencryptedSuffix:       req.Options.UnencryptedSuffix,
			EncryptedSuffix:         req.Options.EncryptedSuffix,
			UnencryptedRegex:        req.Options.UnencryptedRegex,
			EncryptedRegex:          req.Options.EncryptedRegex,
			UnencryptedCommentRegex: req.Options.UnencryptedCommentRegex,
			EncryptedCommentRegex:   req.Options.EncryptedCommentRegex,
			MACOnlyEncrypted:        req.Options.MACOnlyEncrypted,
			KeyGroups:               keys.KeyGroups,
			ShamirThreshold:         keys.ShamirThreshold,
			Version:                 version.Version,
			LastModified:            written,
		},
		FilePath: "/fixture",
	}
	drawFrom(binary.BigEndian.AppendUint64(nil, req.Seed))
	cipher := aes.NewCipher()
	mac, err := tree.Encrypt(keys.DataKey, cipher)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	tree.Metadata.MessageAuthenticationCode, err = cipher.Encrypt(mac, keys.DataKey, written.Format(time.RFC3339))
	if err != nil {
		return nil, fmt.Errorf("encrypt the MAC: %w", err)
	}
	return store.EmitEncryptedFile(tree)
}

// The steps of `decrypt.DataWithFormat` (decrypt/decrypt.go), which KSOPS calls.
func decrypt(file []byte, format formats.Format) ([]byte, error) {
	branches, err := verified(file, format)
	if err != nil {
		return nil, err
	}
	return storeFor(format).EmitPlainFile(branches)
}

func verified(file []byte, format formats.Format) (sops.TreeBranches, error) {
	tree, err := storeFor(format).LoadEncryptedFile(file)
	if err != nil {
		return nil, err
	}
	key, err := tree.Metadata.GetDataKeyWithKeyServices(services, nil)
	if err != nil {
		return nil, err
	}
	cipher := aes.NewCipher()
	mac, err := tree.Decrypt(key, cipher)
	if err != nil {
		return nil, err
	}
	stored, err := cipher.Decrypt(tree.Metadata.MessageAuthenticationCode, key, tree.Metadata.LastModified.Format(time.RFC3339))
	if err != nil {
		return nil, fmt.Errorf("Failed to decrypt original mac: %w", err)
	}
	if stored != mac {
		return nil, errors.New("Failed to verify data integrity")
	}
	return tree.Branches, nil
}

// The content of an encrypted file, not printed by a store: to tell which of two texts is true to it.
func opened(file []byte, format formats.Format) ([]byte, error) {
	branches, err := verified(file, format)
	return []byte(describe(branches)), err
}

// The content of a plain file.
func tree(file []byte, format formats.Format) ([]byte, error) {
	branches, err := storeFor(format).LoadPlainFile(file)
	if err != nil && strings.Contains(err.Error(), "map merge requires") {
		// sops prints `<<` of anything, and refuses it in a first document only.
		branches, err = storeFor(format).LoadPlainFile(append([]byte("{}\n---\n"), file...))
		branches = branches[min(1, len(branches)):]
	}
	return []byte(describe(branches)), err
}

// A plain file, read, walked as for an encryption (which refuses some types and keys), and printed.
func print(file []byte, format formats.Format) ([]byte, error) {
	store := storeFor(format)
	branches, err := store.LoadPlainFile(file)
	if err != nil {
		return nil, err
	}
	tree := sops.Tree{Branches: branches, Metadata: sops.Metadata{EncryptedRegex: nothing}}
	if _, err := tree.Encrypt(make([]byte, 32), aes.NewCipher()); err != nil {
		return nil, err
	}
	return store.EmitPlainFile(tree.Branches)
}

// A pattern that matches no key.
const nothing = `[^\x00-\x{10FFFF}]`

// Types, keys and values in order, without comments.
func describe(value any) string {
	var out strings.Builder
	switch value := value.(type) {
	case sops.TreeBranches:
		for _, branch := range value {
			out.WriteString("---" + describe(branch))
		}
	case sops.TreeBranch:
		out.WriteByte('{')
		for _, item := range value {
			if _, isComment := item.Key.(sops.Comment); !isComment {
				fmt.Fprintf(&out, "%q:%s,", item.Key, describe(item.Value))
			}
		}
		out.WriteByte('}')
	case []any:
		out.WriteByte('[')
		for _, element := range value {
			if _, isComment := element.(sops.Comment); !isComment {
				out.WriteString(describe(element) + ",")
			}
		}
		out.WriteByte(']')
	case int, float64:
		// A float like 1000.0 is printed as 1000, which reads back as an integer; -0.0 as -0, which is 0 then.
		text := fmt.Sprint(value)
		if text == "-0" {
			text = "0"
		}
		out.WriteString("number " + text)
	default:
		fmt.Fprintf(&out, "%T %q", value, fmt.Sprint(value))
	}
	return out.String()
}
