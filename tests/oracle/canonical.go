package main

import (
	"encoding/base64"
	"fmt"
	"regexp"

	"github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/cmd/sops/common"
	"github.com/getsops/sops/v3/cmd/sops/formats"
	"github.com/getsops/sops/v3/config"
)

// An encrypted file, written again by sops: its tokens without what sops' reader ignores (text behind them, line
// breaks and stray bits in their base64), its metadata as sops writes it. Nothing is decrypted.
func canonical(file []byte, format formats.Format) ([]byte, error) {
	// At an indentation of 4, yaml.v3 prints some texts wrongly.
	stores := config.NewStoresConfig()
	stores.YAML.Indent = 2
	store := common.StoreForFormat(format, stores)
	tree, err := store.LoadEncryptedFile(file)
	if err != nil {
		return nil, err
	}
	for index, branch := range tree.Branches {
		tree.Branches[index] = withCanonical(branch).(sops.TreeBranch)
	}
	metadata := &tree.Metadata
	metadata.MessageAuthenticationCode = canonicalToken(metadata.MessageAuthenticationCode)
	written, err := store.EmitEncryptedFile(tree)
	if format == formats.Yaml {
		// sops writes a key "<<" so that it reads it as a merge, and refuses it.
		written = mergeKey.ReplaceAll(written, []byte(`$1"<<":`))
	}
	return written, err
}

var mergeKey = regexp.MustCompile(`(?m)^((?: |- )*)!!merge <<:`)

func withCanonical(value any) any {
	switch value := value.(type) {
	case sops.TreeBranch:
		for index, item := range value {
			if comment, ok := item.Key.(sops.Comment); ok {
				comment.Value = canonicalToken(comment.Value)
				value[index].Key = comment
			}
			value[index].Value = withCanonical(item.Value)
		}
		return value
	case []any:
		for index, element := range value {
			value[index] = withCanonical(element)
		}
		return value
	case sops.Comment:
		value.Value = canonicalToken(value.Value)
		return value
	case string:
		return canonicalToken(value)
	}
	return value
}

// As in aes/cipher.go.
var token = regexp.MustCompile(`^ENC\[AES256_GCM,data:(.+),iv:(.+),tag:(.+),type:(.+)\]`)

func canonicalToken(text string) string {
	parts := token.FindStringSubmatch(text)
	if parts == nil {
		return text
	}
	for index, part := range parts[1:4] {
		decoded, err := base64.StdEncoding.DecodeString(part)
		if err != nil {
			return text
		}
		parts[index+1] = base64.StdEncoding.EncodeToString(decoded)
	}
	return fmt.Sprintf("ENC[AES256_GCM,data:%s,iv:%s,tag:%s,type:%s]", parts[1], parts[2], parts[3], parts[4])
}
