package recipes

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The most that a recipe may weigh and how deep it may nest; the largest real
// one is a few kilobytes and six levels.
const (
	maxRecipe = 1 << 20
	maxDepth  = 32
)

// shape is what a YAML value looks like.
type shape int

const (
	scalar shape = iota
	list
	mapping
	nothing
)

// String names the shape as a user would.
func (s shape) String() string {
	return [...]string{"a single value", "a list", "a mapping", "no value"}[s]
}

// value is one YAML value with its place. Scalars are kept as they were
// written, so that 17.10 and 0755 stay what they are.
type value struct {
	pos    Position
	shape  shape
	text   string
	items  []*value
	fields []field
}

// field is one key of a mapping with its value.
type field struct {
	name  string
	pos   Position
	value *value
}

// get finds a key of a mapping.
func (v *value) get(name string) *value {
	if v == nil {
		return nil
	}
	for _, f := range v.fields {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// parseYAML reads one document. Anchors, aliases, tags and merge keys are no
// part of the format: a recipe reads the same from top to bottom.
func parseYAML(file string, data []byte) (*value, error) {
	start := Position{File: file, Line: 1, Column: 1}
	if len(data) > maxRecipe {
		return nil, &Error{Position: start, Message: fmt.Sprintf("more than %d bytes", maxRecipe)}
	}
	tree, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var positioned yaml.Error
		if errors.As(err, &positioned) && positioned.GetToken() != nil {
			start = place(file, positioned.GetToken())
			return nil, &Error{Position: start, Message: positioned.GetMessage()}
		}
		return nil, &Error{Position: start, Message: err.Error()}
	}
	if len(tree.Docs) != 1 || tree.Docs[0].Body == nil {
		return nil, &Error{Position: start, Message: "a recipe is exactly one YAML document"}
	}
	return convert(file, tree.Docs[0].Body, "", maxDepth)
}

func place(file string, t *token.Token) Position {
	if t == nil || t.Position == nil {
		return Position{File: file, Line: 1, Column: 1}
	}
	return Position{File: file, Line: t.Position.Line, Column: t.Position.Column}
}

func convert(file string, node ast.Node, key string, depth int) (*value, error) {
	v := &value{pos: place(file, node.GetToken())}
	if depth == 0 {
		return nil, &Error{Position: v.pos, Key: key, Message: fmt.Sprintf("nested deeper than %d levels", maxDepth)}
	}
	switch n := node.(type) {
	case *ast.NullNode:
		v.shape = nothing
	case *ast.StringNode:
		v.text = n.Value
	case *ast.LiteralNode:
		v.text = n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		v.text = node.GetToken().Value
	case *ast.SequenceNode:
		v.shape = list
		for i, item := range n.Values {
			one, err := convert(file, item, fmt.Sprintf("%s[%d]", key, i), depth-1)
			if err != nil {
				return nil, err
			}
			v.items = append(v.items, one)
		}
	case *ast.MappingNode:
		return v, convertMapping(file, v, n.Values, key, depth)
	case *ast.MappingValueNode:
		return v, convertMapping(file, v, []*ast.MappingValueNode{n}, key, depth)
	default:
		return nil, &Error{Position: v.pos, Key: key, Message: fmt.Sprintf(
			"%s: anchors, aliases, tags and merge keys are no part of the format", node.Type())}
	}
	return v, nil
}

func convertMapping(file string, v *value, values []*ast.MappingValueNode, key string, depth int) error {
	v.shape = mapping
	for _, entry := range values {
		pos := place(file, entry.Key.GetToken())
		var name string
		switch k := entry.Key.(type) {
		case *ast.StringNode:
			name = k.Value
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
			name = entry.Key.GetToken().Value
		default:
			return &Error{Position: pos, Key: key, Message: fmt.Sprintf("%s cannot be a key", entry.Key.Type())}
		}
		below := join(key, name)
		if v.get(name) != nil {
			return &Error{Position: pos, Key: below, Message: "duplicate key"}
		}
		one, err := convert(file, entry.Value, below, depth-1)
		if err != nil {
			return err
		}
		v.fields = append(v.fields, field{name, pos, one})
	}
	if len(v.fields) > 0 && v.pos.Column > v.fields[0].pos.Column {
		v.pos = v.fields[0].pos // a block mapping begins at its first key, not at the colon
	}
	return nil
}

// join appends a name to a key: config and env give config.env.
func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}
