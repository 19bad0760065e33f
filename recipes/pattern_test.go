package recipes_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/recipes"
)

// TestPatternsCompile asks every pattern of the module, which would otherwise
// panic in the middle of a run; a pattern's text must be a literal for that.
// And none is compiled before main, where every run would pay for it.
func TestPatternsCompile(t *testing.T) {
	found := 0
	eachFile(t, func(name string, file *ast.File) {
		for _, declared := range file.Decls {
			d, general := declared.(*ast.GenDecl)
			ast.Inspect(declared, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) != 1 {
					return true
				}
				switch called(call) {
				case "NewPattern", "recipes.NewPattern":
					found++
					if text, ok := literal(call.Args[0]); !ok {
						t.Errorf("%s: a pattern's text is no literal", name)
					} else if _, err := regexp.Compile(text); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				case "regexp.MustCompile":
					if general && d.Tok == token.VAR {
						t.Errorf("%s: compiles a regular expression in every run: use recipes.NewPattern", name)
					}
				}
				return true
			})
		}
	})
	if found < 100 {
		t.Errorf("%d patterns found", found)
	}
}

func TestPattern(t *testing.T) {
	p := recipes.NewPattern(`^([a-z]+)-([0-9]+)$`)
	if !p.MatchString("ab-12") || p.MatchString("ab") {
		t.Error("matches the wrong texts")
	}
	if got := p.FindStringSubmatch("ab-12"); len(got) != 3 || got[1] != "ab" || got[2] != "12" {
		t.Errorf("groups %q", got)
	}
	if got := p.ReplaceAllString("ab-12", "$2$1"); got != "12ab" {
		t.Errorf("replaced: %q", got)
	}
	first := p.Regexp()
	if again := p.Regexp(); again != first {
		t.Error("compiled twice")
	}
}

// eachFile parses the module's own files, tests aside.
func eachFile(t *testing.T, use func(name string, file *ast.File)) {
	t.Helper()
	for _, room := range rooms {
		err := goFiles(room, func(name string, data []byte) {
			if strings.HasSuffix(name, "_test.go") {
				return
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, data, 0)
			if err != nil {
				t.Fatal(err)
			}
			use(name, file)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// called is the name of the function that is called, with its package.
func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if from, ok := f.X.(*ast.Ident); ok {
			return from.Name + "." + f.Sel.Name
		}
	}
	return ""
}

// literal is the text of string literals joined by +.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		left, okLeft := literal(e.X)
		right, okRight := literal(e.Y)
		return left + right, okLeft && okRight && e.Op == token.ADD
	}
	return "", false
}
