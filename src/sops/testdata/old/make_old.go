// Makes sops_3.6.1.yaml and .json: plain files, encrypted by the Go library of an old sops with the key
// 0123456789abcdef0123456789abcdef; the PGP key of the stanza is none.
//
//	go mod init old && go get go.mozilla.org/sops/v3@v3.6.1
//	REGEX='^data$' go run make_old.go 3.6.1 FILE.yaml FILE.json
package main

import (
	"fmt"
	"io/ioutil"
	"os"
	"strings"
	"time"

	"go.mozilla.org/sops/v3"
	"go.mozilla.org/sops/v3/aes"
	"go.mozilla.org/sops/v3/pgp"
	"go.mozilla.org/sops/v3/stores/dotenv"
	"go.mozilla.org/sops/v3/stores/ini"
	"go.mozilla.org/sops/v3/stores/json"
	"go.mozilla.org/sops/v3/stores/yaml"
)

// main FILE...: encrypts with a fixed key, encrypted_regex from env, writes FILE.VERSION.
func main() {
	for _, f := range os.Args[2:] {
		var store sops.Store
		switch {
		case strings.HasSuffix(f, ".yaml"):
			store = &yaml.Store{}
		case strings.HasSuffix(f, ".json"):
			store = &json.Store{}
		case strings.HasSuffix(f, ".env"):
			store = &dotenv.Store{}
		case strings.HasSuffix(f, ".ini"):
			store = &ini.Store{}
		default:
			store = &json.BinaryStore{}
		}
		data, _ := ioutil.ReadFile(f)
		branches, err := store.LoadPlainFile(data)
		if err != nil {
			fmt.Println(f, err)
			continue
		}
		now, _ := time.Parse(time.RFC3339, "2021-02-03T04:05:06Z")
		m := sops.Metadata{Version: os.Args[1], LastModified: now, EncryptedRegex: os.Getenv("REGEX"), KeyGroups: []sops.KeyGroup{{&pgp.MasterKey{Fingerprint: "F", EncryptedKey: "x\ny\n", CreationDate: now}}}}
		if m.EncryptedRegex == "" {
			m.UnencryptedSuffix = "_unencrypted"
		}
		tree := sops.Tree{Branches: branches, Metadata: m}
		key := []byte("0123456789abcdef0123456789abcdef")
		c := aes.NewCipher()
		mac, err := tree.Encrypt(key, c)
		if err != nil {
			fmt.Println(f, err)
			continue
		}
		tree.Metadata.MessageAuthenticationCode, _ = c.Encrypt(mac, key, now.Format(time.RFC3339))
		out, err := store.EmitEncryptedFile(tree)
		if err != nil {
			fmt.Println(f, err)
			continue
		}
		parts := strings.SplitN(f, ".", 2)
		ioutil.WriteFile(parts[0]+"_"+os.Args[1]+".old."+parts[1], out, 0o644)
	}
}
