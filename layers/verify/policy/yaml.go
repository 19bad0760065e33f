package policy

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/shudl/shudl-assemble/recipes"
)

// The most that a policy may weigh, in bytes, and how deep it may nest.
const (
	maxFile  = 1 << 20
	maxDepth = 16
)

// places is where in a file each key stands: images[0].signers[1].key.
type places struct {
	file string
	keys map[string]recipes.Position
}

// of is the place of a key; of one that is missing, that of what it would be
// in.
func (p places) of(key string) recipes.Position {
	for {
		if pos, ok := p.keys[key]; ok {
			return pos
		}
		cut := strings.LastIndexAny(key, ".[")
		if cut < 0 {
			return recipes.Position{File: p.file, Line: 1, Column: 1}
		}
		key = key[:cut]
	}
}

// at is the key at a place.
func (p places) at(pos recipes.Position) string {
	found := ""
	for key, place := range p.keys {
		if place == pos && len(key) > len(found) {
			found = key
		}
	}
	return found
}

// decode reads one YAML document, strictly, and where its keys stand.
// Anchors, aliases, tags and merge keys are no part of the format: a policy
// reads the same from top to bottom.
func decode(file string, data []byte, into any) (places, error) {
	p := places{file: file, keys: map[string]recipes.Position{}}
	if len(data) > maxFile {
		return p, p.errorf("", nil, "more than %d bytes", maxFile)
	}
	tree, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return p, p.syntax(err)
	}
	if len(tree.Docs) != 1 || tree.Docs[0].Body == nil {
		return p, p.errorf("", nil, "a policy is exactly one YAML document")
	}
	if err := p.walk(tree.Docs[0].Body, "", maxDepth); err != nil {
		return p, err
	}
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(into); err != nil {
		return p, p.syntax(err)
	}
	return p, nil
}

// syntax gives an error of the library its place and key.
func (p places) syntax(err error) error {
	var positioned yaml.Error
	if errors.As(err, &positioned) && positioned.GetToken() != nil {
		key := p.at(p.place(positioned.GetToken()))
		return p.errorf(key, positioned.GetToken(), "%s", positioned.GetMessage())
	}
	return p.errorf("", nil, "%s", err)
}

func (p places) errorf(key string, t *token.Token, format string, args ...any) error {
	return recipes.Errors{{Position: p.place(t), Key: key, Message: fmt.Sprintf(format, args...)}}
}

func (p places) place(t *token.Token) recipes.Position {
	if t == nil || t.Position == nil {
		return recipes.Position{File: p.file, Line: 1, Column: 1}
	}
	return recipes.Position{File: p.file, Line: t.Position.Line, Column: t.Position.Column}
}

// walk notes where each key of a value stands.
func (p places) walk(node ast.Node, key string, depth int) error {
	if depth == 0 {
		return p.errorf(key, node.GetToken(), "nested deeper than %d levels", maxDepth)
	}
	switch n := node.(type) {
	case *ast.NullNode, *ast.StringNode, *ast.LiteralNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return nil
	case *ast.SequenceNode:
		for i, item := range n.Values {
			below := fmt.Sprintf("%s[%d]", key, i)
			p.keys[below] = p.place(start(item))
			if err := p.walk(item, below, depth-1); err != nil {
				return err
			}
		}
		return nil
	case *ast.MappingNode:
		return p.mapping(n.Values, key, depth)
	case *ast.MappingValueNode:
		return p.mapping([]*ast.MappingValueNode{n}, key, depth)
	}
	return p.errorf(key, node.GetToken(), "%s: anchors, aliases, tags and merge keys are no part of the format", node.Type())
}

func (p places) mapping(values []*ast.MappingValueNode, key string, depth int) error {
	for _, entry := range values {
		name, ok := entry.Key.(*ast.StringNode)
		if !ok {
			return p.errorf(key, entry.Key.GetToken(), "%s cannot be a key", entry.Key.Type())
		}
		below := name.Value
		if key != "" {
			below = key + "." + name.Value
		}
		if _, twice := p.keys[below]; twice {
			return p.errorf(below, entry.Key.GetToken(), "duplicate key")
		}
		p.keys[below] = p.place(entry.Key.GetToken())
		if err := p.walk(entry.Value, below, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// start is where a value begins: a block mapping at its first key, not at the
// colon.
func start(node ast.Node) *token.Token {
	switch n := node.(type) {
	case *ast.MappingNode:
		if n.Start != nil && n.Start.Type == token.MappingStartType || len(n.Values) == 0 {
			return n.GetToken()
		}
		return n.Values[0].Key.GetToken()
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return node.GetToken()
}
