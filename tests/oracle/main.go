// The real sops as a server for tests/it/differential.rs: it encrypts and decrypts with sops' own library, in the steps
// of its command line, as often as asked.
//
// Frames on stdin and stdout: four bytes of length, big-endian, then JSON. Requests are answered in order. Identities
// come from the environment, as for sops itself. The process ends with its stdin.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	"github.com/getsops/sops/v3/age"
	"github.com/getsops/sops/v3/cmd/sops/common"
	"github.com/getsops/sops/v3/cmd/sops/formats"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/decrypt"
	"github.com/getsops/sops/v3/keyservice"
	"github.com/getsops/sops/v3/logging"
	"github.com/getsops/sops/v3/version"
)

type request struct {
	Op      string  `json:"op"`     // "encrypt", "decrypt", "tree", "opened" or "version"
	Format  string  `json:"format"` // "yaml", "json", "dotenv", "ini" or "binary"
	Data    []byte  `json:"data"`
	Options options `json:"options"`
}

// The encryption rules and keys of a new file, by the names of the metadata.
type options struct {
	UnencryptedSuffix       string     `json:"unencrypted_suffix"`
	EncryptedSuffix         string     `json:"encrypted_suffix"`
	UnencryptedRegex        string     `json:"unencrypted_regex"`
	EncryptedRegex          string     `json:"encrypted_regex"`
	UnencryptedCommentRegex string     `json:"unencrypted_comment_regex"`
	EncryptedCommentRegex   string     `json:"encrypted_comment_regex"`
	MACOnlyEncrypted        bool       `json:"mac_only_encrypted"`
	Groups                  [][]string `json:"groups"` // age recipients
	ShamirThreshold         int        `json:"shamir_threshold"`
}

type response struct {
	Data  []byte `json:"data"`
	Error string `json:"error"` // empty on success
}

func main() {
	// Enough for any document of the test, and a quick end for those that recurse for ever.
	debug.SetMaxStack(16 << 20)
	// sops logs refused values.
	for _, logger := range logging.Loggers {
		logger.SetOutput(io.Discard)
	}
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		var length uint32
		if err := binary.Read(in, binary.BigEndian, &length); err == io.EOF {
			return
		} else if err != nil {
			fail(err)
		}
		frame := make([]byte, length)
		if _, err := io.ReadFull(in, frame); err != nil {
			fail(err)
		}
		var req request
		if err := json.Unmarshal(frame, &req); err != nil {
			fail(err)
		}
		answer, err := json.Marshal(serve(req))
		if err != nil {
			fail(err)
		}
		if err := binary.Write(out, binary.BigEndian, uint32(len(answer))); err != nil {
			fail(err)
		}
		if _, err := out.Write(answer); err != nil {
			fail(err)
		}
		if err := out.Flush(); err != nil {
			fail(err)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "oracle:", err)
	os.Exit(1)
}

// A panic of sops is a refusal too; the text says that it was one.
func serve(req request) (answer response) {
	defer func() {
		if reason := recover(); reason != nil {
			answer = response{Error: fmt.Sprint("panic: ", reason)}
		}
	}()
	var data []byte
	var err error
	switch req.Op {
	case "decrypt":
		data, err = decrypt.DataWithFormat(req.Data, formats.FormatFromString(req.Format))
	case "encrypt":
		data, err = encrypt(req)
	case "opened":
		data, err = opened(req)
	case "tree":
		var branches sops.TreeBranches
		branches, err = common.StoreForFormat(formats.FormatFromString(req.Format), config.NewStoresConfig()).LoadPlainFile(req.Data)
		data = []byte(describe(branches))
	case "version":
		data = []byte(version.Version)
	default:
		err = fmt.Errorf("unknown operation %q", req.Op)
	}
	if err != nil {
		return response{Error: "refused: " + err.Error()}
	}
	return response{Data: data}
}

// The steps of `sops encrypt` (cmd/sops/encrypt.go).
func encrypt(req request) ([]byte, error) {
	store := common.StoreForFormat(formats.FormatFromString(req.Format), config.NewStoresConfig())
	branches, err := store.LoadPlainFile(req.Data)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if len(branches) < 1 {
		return nil, fmt.Errorf("load: no document")
	}
	if store.HasSopsTopLevelKey(branches[0]) {
		return nil, fmt.Errorf("load: encrypted already")
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
			ShamirThreshold:         req.Options.ShamirThreshold,
			Version:                 version.Version,
		},
		FilePath: "/fixture",
	}
	for _, recipients := range req.Options.Groups {
		var group sops.KeyGroup
		for _, recipient := range recipients {
			key, err := age.MasterKeyFromRecipient(recipient)
			if err != nil {
				return nil, err
			}
			group = append(group, key)
		}
		tree.Metadata.KeyGroups = append(tree.Metadata.KeyGroups, group)
	}
	services := []keyservice.KeyServiceClient{keyservice.NewLocalClient()}
	key, errs := tree.GenerateDataKeyWithKeyServices(services)
	if len(errs) > 0 {
		return nil, fmt.Errorf("data key: %v", errs)
	}
	cipher := aes.NewCipher()
	if err := common.EncryptTree(common.EncryptTreeOpts{Tree: &tree, Cipher: cipher, DataKey: key}); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return store.EmitEncryptedFile(tree)
}

// The content of an encrypted file, not printed by a store: to tell which of two texts is true to it.
func opened(req request) ([]byte, error) {
	store := common.StoreForFormat(formats.FormatFromString(req.Format), config.NewStoresConfig())
	tree, err := store.LoadEncryptedFile(req.Data)
	if err != nil {
		return nil, err
	}
	key, err := tree.Metadata.GetDataKey()
	if err != nil {
		return nil, err
	}
	if _, err := tree.Decrypt(key, aes.NewCipher()); err != nil {
		return nil, err
	}
	return []byte(describe(tree.Branches)), nil
}

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
