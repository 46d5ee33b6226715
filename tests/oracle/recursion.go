package main

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// Whether sops would recurse for ever on a YAML text, which would end this process: in documents after the first, it
// does not notice an anchor that holds its own alias.
func recurses(text []byte) bool {
	if !bytes.Contains(text, []byte("&")) || !bytes.Contains(text, []byte("*")) {
		return false
	}
	// sops decodes the first document beforehand, and refuses.
	if yaml.NewDecoder(bytes.NewReader(text)).Decode(map[string]any{}) != nil {
		return false
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var document yaml.Node
		if decoder.Decode(&document) != nil {
			return false
		}
		if holdsItself(&document, map[*yaml.Node]bool{}) {
			return true
		}
	}
}

func holdsItself(node *yaml.Node, above map[*yaml.Node]bool) bool {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if above[node] {
		return true
	}
	above[node] = true
	defer delete(above, node)
	for _, child := range node.Content {
		if holdsItself(child, above) {
			return true
		}
	}
	return false
}
