// Makes read.jsonl: a YAML text, and the values that go.yaml.in/yaml/v3 v3.0.4 reads, or null where it refuses the text.
//
//	go run make_read.go > read.jsonl
package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

var long = strings.Repeat("x", 1022)

var texts = []string{
	"\"(\\a)\"", "\"(\\b)\"", "\"(\\t)\"", "\"(\\\t)\"", "\"(\\n)\"", "\"(\\v)\"", "\"(\\f)\"", "\"(\\r)\"", "\"(\\e)\"", "\"(\\ )\"", "\"(\\\")\"", "\"(\\')\"", "\"(\\/)\"", "\"(\\\\)\"", "\"(\\N)\"", "\"(\\_)\"", "\"(\\L)\"", "\"(\\P)\"", "\"(\\0)\"", "\"(\\x41)\"", "\"(\\u00e9)\"", "\"(\\U0001F600)\"", "\"(\\\n  )\"",
	"\"\\q\"", "\"\\x4\"", "\"\\xg1\"", "\"\\ud800\"", "\"\\U00110000\"",
	"|\n  a\n\n  b\n", "|\n\n  a\n", "|\n   \n  a\n", "|2\n   a\n", "|1\n a\n  b\n", "a:\n  - |\n    x\n   y\n", ">\n a\n  b\n c\n", "a: |\n b\n\tc\n", "a: |\n\tb\n", "a: |2\n\tb\n", "- \ta\n", "a: b\n\tc\n", "a: b\n \tc\n", "a: 'b\n\tc'\n", "k: |\n   a\n  \n   b\n",
	"a\n b\n", "a: b\n  c\n", "a: [b\n\tc]\n",
	"%YAML 1.1\n---\na\n", "%YAML 1.2\n---\na\n", "%YAML 2.0\n---\na\n", "%YAML 1.1 x\n---\na\n", "%YAML 1\n---\na\n", "%YAML 1.x\n---\na\n", "%YAML x.1\n---\na\n", "%YAML 1234567890.1\n---\na\n", "%YAML 1.1\n%YAML 1.1\n---\na\n", "%YAML 1.1\na\n",
	"%TAG !e! tag:e,2000:\n---\n!e!x a\n", "%TAG !e!\n---\na\n", "%TAG !e! tag:x\n%TAG !e! tag:y\n---\na\n", "%TAG e tag:x\n---\na\n", "%TAG !e!tag:x\n---\na\n", "%FOO bar\n---\na\n", "%TAG !e! tag:x y\n---\na\n", "%YAML 1.1 # c\n---\na\n", "!u!x a\n",
	"!a%20b x\n", "!%zz x\n", "!%F0%9F%98%80 x\n", "!%FF x\n", "!%C3 x\n", "!%C3%A9 x\n", "!%C3%41 x\n", "!<tag:x> a\n", "!<> a\n", "!<x a\n", "!! a\n", "!!str a\n",
	"&a x\n", "& x\n", "&a: x\n", "*\n", "&a-b_c1 x\n", "&é x\n", "&a &b x\n", "!!str !!int x\n", "!!str &a x\n", "&a !!str x\n", "[&a]\n", "{&a : b}\n", "&a\n", "!!str\n", "- &a\n- b\n", "{a: !!str}\n",
	"- - a\n  - b\n", "? a\n: b\n", "[a, ? b : c]\n", "{a, b: c}\n", "[a: b]\n", "%a\n", "@a\n", "`a\n", "a: @b\n", "a: `b\n", "a: %b\n", "[a, @b]\n", "|a\n", ">a\n", ":\n", ":a\n", "-a\n", "?a\n", "- ?\n", "[?a]\n", "[:a]\n", "[-a]\n", "[a, #c\n b]\n", "[- a]\n", "{? a}\n", "[|]\n", "[>]\n", "{- a}\n", "[? a]\n", "a: - b\n", "a: ? b\n", "- a: - b\n", "a: b: c\n", "[a,, b]\n", "[,]\n", "{a: b, }\n", "a: {b\n", "? - a\n: - b\n", "- ? a\n  : b\n", "a:\n- b\n- c\nd: e\n", "[[a]: b]\n", "{[a]: b}\n", "{{a: b}: c}\n", "[a]: b\n", "\"a\": b\n", "[\"a\":b]\n", "{\"a\":b}\n", "{a:b}\n", "a:b\n", "a :b\n", "a : b\n", "'a':b\n",
	"'a\n\n b'\n", "\"a\n  b\\\n  c\"\n", "'it''s'\n", "\"a\\\n b\"\n", "\"a \n b\"\n", "'a\n\tb'\n", "'a\n---\nb'\n", "\"a\n...\n\"\n",
	"a\n...\nb\n", "---\n---\na\n", "--- a\n", "---a\n", "...\n", "a\n--- b\n", "--- |\n a\n", "---\n%YAML 1.1\n---\na\n", "a\n...\n%YAML 1.1\n---\nb\n", "--- # c\na\n", "a: 1\n... # c\n",
	"a: !!binary aGk=\n", "k" + long + ": v\n", "k" + long + "xx" + ": v\n", "{k" + long + "xx" + ": v}\n", "[k" + long + "12345678" + ": v]\n", "a\nb: c\n", "- a\nb: c\n", "a: b\n c: d\n", "a:\n  b: c\n d: e\n", "[a\n: b]\n", "{a\n: b}\n", "[\"a\n b\": c]\n", "\"a\nb\": c\n",
}

func show(n *yaml.Node) string {
	var parts []string
	text := ""
	switch n.Kind {
	case yaml.DocumentNode:
		return show(n.Content[0])
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			parts = append(parts, show(n.Content[i])+": "+show(n.Content[i+1]))
		}
		text = "{" + strings.Join(parts, ", ") + "}"
	case yaml.SequenceNode:
		for _, item := range n.Content {
			parts = append(parts, show(item))
		}
		text = "[" + strings.Join(parts, ", ") + "]"
	default:
		text = strings.ReplaceAll(n.Value, "\n", `\n`)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		return n.ShortTag() + " " + text
	}
	return text
}

func read(text string) *string {
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	var documents []string
	for {
		var node yaml.Node
		switch err := decoder.Decode(&node); err {
		case io.EOF:
			all := strings.Join(documents, " --- ")
			return &all
		case nil:
			documents = append(documents, show(&node))
		default:
			return nil
		}
	}
}

func main() {
	w := json.NewEncoder(os.Stdout)
	w.SetEscapeHTML(false)
	for _, text := range texts {
		w.Encode([]*string{&text, read(text)})
	}
}
