// Makes patterns.jsonl: the texts, then a line per pattern with what Go 1.26 says of it for each text. The file beside
// this one is a choice of its lines.
//
//	go run make_patterns.go SEED COUNT > patterns.jsonl
package main

import (
	"encoding/json"
	"math/rand"
	"os"
	"regexp"
	"strconv"
)

var frag = []string{"a", "b", "k", "S", "s", "K", ".", "^", "$", "|", "(", ")", "(?:", "(?i)", "(?i:", "(?m)", "(?s)", "(?-i)", "(?im-s:", "(?P<n>", "(?<n>", "(?P<", "(?=", "(?!", "(?U)", "(?", "[", "]", "[^", "-", "a-z", "A-Z", "0-9",
	"[:alpha:]", "[:^digit:]", "[[:upper:]]", "[[:^space:]]", "[[:foo:]]", "[a-]", "[-a]", "[]a]", "[^]a]", "[a&&b]", "[a[b]", "[\\d-z]", "[\\]]", "[\\-a]", `\d`, `\D`, `\s`, `\S`, `\w`, `\W`, `\b`, `\B`, `\A`, `\z`, `\Z`, `\C`, `\Q`, `\E`, `\n`, `\t`, `\v`, `\a`, `\f`, `\r`, `\x41`, `\x{41}`, `\x{1F600}`, `\x{110000}`, `\x4`, `\x{}`, `\0`, `\1`, `\12`, `\101`, `\07`, `\.`, `\-`, `\_`, `\/`, `\é`, `\e`, `\y`, `\p{L}`, `\pN`,
	"*", "+", "?", "*?", "+?", "??", "**", "{2}", "{2,}", "{1,3}", "{,3}", "{0}", "{0,0}", "{3,1}", "{1001}", "{1000}", "{01}", "{a", "{", "}", "{2}?", "é", "ſ", "\u212a", "ß", "日", "\\", " ", "#", "_", ":", "\n", "\x0b", "data", "string", "secret", "password", "^(data|stringData)$", "_enc$", "(?x)", "\\Qa.b\\E", "\\Q*", "x", "\U0001F600"}
var texts = []string{"", "a", "b", "ab", "A", "k", "K", "\u212a", "s", "S", "ſ", "data", "stringData", "Data", "password", "a.b", "axb", "a\nb", "\n", " ", "\t", "\x0b", "é", "É", "ß", "日本", "\U0001F600", "0", "12", "_", "my_enc", "-", "]", "[", "^", "{2}", "&", "aaa", "aa", "bb", "z", "data\n", "\ndata", "x y", "\x00", "\\", "#", "\x7f", "*", "\u00a0", "\u2028"}

func main() {
	seed, _ := strconv.ParseInt(os.Args[1], 10, 64)
	n, _ := strconv.Atoi(os.Args[2])
	r := rand.New(rand.NewSource(seed))
	w := json.NewEncoder(os.Stdout)
	w.SetEscapeHTML(false)
	w.Encode(texts)
	for i := 0; i < n; i++ {
		p := ""
		for k := 1 + r.Intn(7); k > 0; k-- {
			p += frag[r.Intn(len(frag))]
		}
		re, err := regexp.Compile(p)
		res := ""
		for _, t := range texts {
			if err == nil && re.MatchString(t) {
				res += "1"
			} else {
				res += "0"
			}
		}
		if err != nil {
			res = "invalid"
		}
		w.Encode([]string{p, res})
	}
}
