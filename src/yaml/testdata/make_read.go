// Makes read.jsonl anew. Each line is a YAML text; what go.yaml.in/yaml/v3 v3.0.4 reads in it, comments as
// <head|line|foot> and * behind what an alias stands for; and line and column of each node. The last two are null where
// yaml.v3 refuses the text. A new text is a line with nothing else: ["text"].
//
//	go run make_read.go < read.jsonl > new.jsonl
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

type reading struct {
	open   map[*yaml.Node]bool
	places []string
	loops  bool // an alias stands within what it stands for
}

func (r *reading) show(n *yaml.Node) string {
	if n.Kind == yaml.DocumentNode {
		return r.show(n.Content[0]) + comments(n)
	}
	place := len(r.places)
	if n.Kind == yaml.AliasNode {
		if r.open[n.Alias] {
			r.loops = true
			return ""
		}
		text := r.show(n.Alias)
		r.places[place] = fmt.Sprintf("%d:%d", n.Line, n.Column)
		return text + "*" + comments(n)
	}
	r.places = append(r.places, fmt.Sprintf("%d:%d", n.Line, n.Column))
	r.open[n] = true
	defer delete(r.open, n)
	var parts []string
	text := strings.ReplaceAll(n.Value, "\n", `\n`)
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			parts = append(parts, r.show(n.Content[i])+": "+r.show(n.Content[i+1]))
		}
		text = "{" + strings.Join(parts, ", ") + "}"
	case yaml.SequenceNode:
		for _, item := range n.Content {
			parts = append(parts, r.show(item))
		}
		text = "[" + strings.Join(parts, ", ") + "]"
	}
	if n.Style&yaml.TaggedStyle != 0 {
		text = n.ShortTag() + " " + text
	}
	return text + comments(n)
}

func comments(n *yaml.Node) string {
	if n.HeadComment == "" && n.LineComment == "" && n.FootComment == "" {
		return ""
	}
	return strings.ReplaceAll("<"+n.HeadComment+"|"+n.LineComment+"|"+n.FootComment+">", "\n", `\n`)
}

func read(text string) (shown, places *string) {
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	r := reading{open: map[*yaml.Node]bool{}}
	var documents []string
	for {
		var node yaml.Node
		switch err := decoder.Decode(&node); {
		case err == io.EOF:
			shown, places := strings.Join(documents, " --- "), strings.Join(r.places, " ")
			return &shown, &places
		case err != nil:
			return nil, nil
		}
		documents = append(documents, r.show(&node))
		if r.loops {
			return nil, nil
		}
	}
}

func main() {
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var columns []*string
		if err := json.Unmarshal(in.Bytes(), &columns); err != nil {
			log.Fatal(err)
		}
		text := columns[0]
		shown, places := read(*text)
		out.Encode([]*string{text, shown, places})
	}
}
