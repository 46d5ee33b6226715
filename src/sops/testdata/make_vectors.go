// Makes vectors.jsonl: random trees, encrypted by the Go library of sops 3.13.3, with what the same library makes of
// them again. In a checkout of github.com/getsops/sops at v3.13.3: put this file into cmd/oracle/, then
//
//	go run ./cmd/oracle SEED COUNT > vectors.jsonl
//
// The file beside this one is a choice of short lines; 20,000 of them were compared when this was written.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/rand"
	"os"
	"strconv"
	"time"

	"github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
)

// Trees as JSON: {"m":[[key,node]|["#",text,inline]]}, {"l":[node]}, {"s":base64}, {"i":"1"}, {"f":"bits"}, {"b":true},
// {"t":"rfc3339nano"}, {"c":text}, null.
func enc(v interface{}) interface{} {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return map[string]interface{}{"s": base64.StdEncoding.EncodeToString([]byte(v))}
	case int:
		return map[string]interface{}{"i": strconv.Itoa(v)}
	case float64:
		return map[string]interface{}{"f": strconv.FormatUint(math.Float64bits(v), 10)}
	case bool:
		return map[string]interface{}{"b": v}
	case time.Time:
		return map[string]interface{}{"t": v.Format(time.RFC3339Nano)}
	case sops.Comment:
		return map[string]interface{}{"c": base64.StdEncoding.EncodeToString([]byte(v.Value))}
	case []interface{}:
		out := []interface{}{}
		for _, e := range v {
			out = append(out, enc(e))
		}
		return map[string]interface{}{"l": out}
	case sops.TreeBranch:
		out := []interface{}{}
		for _, it := range v {
			if c, ok := it.Key.(sops.Comment); ok {
				out = append(out, []interface{}{nil, base64.StdEncoding.EncodeToString([]byte(c.Value))})
			} else {
				out = append(out, []interface{}{it.Key, enc(it.Value)})
			}
		}
		return map[string]interface{}{"m": out}
	}
	panic(fmt.Sprintf("%T", v))
}

var keys = []string{"a", "b", "data", "stringData", "x_unencrypted", "y_enc", "a:b", "", "ключ", "spec", "data ", "A"}
var comments = []string{" plain", "secret: here", " sops:enc", "", " public", "ENC", " sops:enc ", " ключ"}
var floats = []float64{0, math.Copysign(0, -1), 1, 1.5, 1e21, 1e-7, 123456789.25, math.MaxFloat64, 5e-324, math.Inf(1), math.Inf(-1), 1e6, 100000}
var strs = []string{"", "x", "multi\nline\n", "\x00\xff\xfe", "ENC[AES256_GCM,data:,iv:,tag:,type:str]", "ünïcode 😀", "1", "True", " lead", "a very long string that is longer than one block of the cipher, so that counter mode goes on"}

func leaf(r *rand.Rand) interface{} {
	switch r.Intn(9) {
	case 0, 1, 2:
		return strs[r.Intn(len(strs))]
	case 3:
		return []int{0, -1, 42, math.MaxInt64, math.MinInt64}[r.Intn(5)]
	case 4:
		return floats[r.Intn(len(floats))]
	case 5:
		return r.Intn(2) == 0
	case 6:
		t := time.Unix(r.Int63n(4e9), 0).In(time.UTC)
		if r.Intn(2) == 0 {
			t = t.Add(time.Duration(r.Int63n(1e9))).In(time.FixedZone("", (r.Intn(57)-28)*1800))
		}
		return t
	case 7:
		return nil
	}
	return strs[r.Intn(len(strs))]
}
func value(r *rand.Rand, d int) interface{} {
	if d > 0 {
		switch r.Intn(5) {
		case 0, 1:
			return branch(r, d-1)
		case 2:
			out := []interface{}{}
			for i := r.Intn(5); i > 0; i-- {
				if r.Intn(4) == 0 {
					c := comments[r.Intn(len(comments))]
					out = append(out, sops.Comment{Value: c})
				} else {
					out = append(out, value(r, d-1))
				}
			}
			return out
		}
	}
	return leaf(r)
}
func branch(r *rand.Rand, d int) sops.TreeBranch {
	out := sops.TreeBranch{}
	for i := r.Intn(6); i > 0; i-- {
		if r.Intn(4) == 0 {
			out = append(out, sops.TreeItem{Key: sops.Comment{Value: comments[r.Intn(len(comments))]}})
		} else {
			out = append(out, sops.TreeItem{Key: keys[r.Intn(len(keys))], Value: value(r, d)})
		}
	}
	return out
}
func clone(v interface{}) interface{} {
	switch v := v.(type) {
	case sops.TreeBranch:
		out := sops.TreeBranch{}
		for _, it := range v {
			out = append(out, sops.TreeItem{Key: it.Key, Value: clone(it.Value)})
		}
		return out
	case []interface{}:
		out := []interface{}{}
		for _, e := range v {
			out = append(out, clone(e))
		}
		return out
	}
	return v
}

func main() {
	seed, _ := strconv.ParseInt(os.Args[1], 10, 64)
	n, _ := strconv.Atoi(os.Args[2])
	r := rand.New(rand.NewSource(seed))
	w := json.NewEncoder(os.Stdout)
	w.SetEscapeHTML(false)
	rules := [][2]string{
		{"", ""}, {"unencrypted_suffix", "_unencrypted"}, {"encrypted_suffix", "_enc"}, {"encrypted_suffix", "a"},
		{"encrypted_regex", "^(data|stringData)$"}, {"unencrypted_regex", "^(data|spec)$"}, {"encrypted_regex", "(?i)^A"},
		{"encrypted_regex", "["}, {"unencrypted_regex", "(?=x)"}, {"encrypted_regex", `^\S*$`}, {"unencrypted_regex", `[^[:ascii:]]`},
		{"encrypted_comment_regex", "sops:enc"}, {"unencrypted_comment_regex", "public"}, {"encrypted_comment_regex", "sops:enc$"},
		{"unencrypted_comment_regex", "^$"}, {"encrypted_comment_regex", "ключ"},
	}
	for i := 0; i < n; i++ {
		rule := rules[r.Intn(len(rules))]
		m := sops.Metadata{MACOnlyEncrypted: r.Intn(3) == 0, LastModified: time.Unix(r.Int63n(4e9), 0).UTC()}
		switch rule[0] {
		case "":
			m.UnencryptedSuffix = "_unencrypted"
		case "unencrypted_suffix":
			m.UnencryptedSuffix = rule[1]
		case "encrypted_suffix":
			m.EncryptedSuffix = rule[1]
		case "encrypted_regex":
			m.EncryptedRegex = rule[1]
		case "unencrypted_regex":
			m.UnencryptedRegex = rule[1]
		case "encrypted_comment_regex":
			m.EncryptedCommentRegex = rule[1]
		case "unencrypted_comment_regex":
			m.UnencryptedCommentRegex = rule[1]
		}
		var branches sops.TreeBranches
		for k := 1 + r.Intn(2); k > 0; k-- {
			branches = append(branches, branch(r, 3))
		}
		key := make([]byte, 32)
		r.Read(key)
		tree := sops.Tree{Metadata: m}
		for _, b := range branches {
			tree.Branches = append(tree.Branches, clone(b).(sops.TreeBranch))
		}
		c := aes.NewCipher()
		mac, err := tree.Encrypt(key, c)
		if err != nil {
			continue
		}
		encMac, err := c.Encrypt(mac, key, m.LastModified.Format(time.RFC3339))
		if err != nil {
			panic(err)
		}
		encrypted := []interface{}{}
		for _, b := range tree.Branches {
			encrypted = append(encrypted, enc(b))
		}
		// what Go itself makes of the file
		back := sops.Tree{Metadata: m}
		for _, b := range tree.Branches {
			back.Branches = append(back.Branches, clone(b).(sops.TreeBranch))
		}
		mac2, err := back.Decrypt(key, c)
		verdict := "ok"
		if err != nil {
			verdict = "error"
		} else if mac2 != mac {
			verdict = "mismatch"
		}
		plain := []interface{}{}
		for _, b := range back.Branches {
			plain = append(plain, enc(b))
		}
		w.Encode(map[string]interface{}{"rule": rule[0], "pattern": rule[1], "only": m.MACOnlyEncrypted, "modified": m.LastModified.Format(time.RFC3339),
			"key": base64.StdEncoding.EncodeToString(key), "mac": encMac, "encrypted": encrypted, "plain": plain, "go": verdict})
	}
}
