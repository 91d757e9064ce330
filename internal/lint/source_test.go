package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(module+"/internal/proc.spawn"),
		goleak.IgnoreAnyFunction(module+"/internal/robust.keep"))
}

const module = "github.com/interlock-go/interlock"

// root is the module's folder, seen from this one.
const root = "../.."

// source is a Go file of the module, whatever system and tags it is built for.
type source struct {
	path string // from the root: "shm/cell.go"
	test bool
	*ast.File
}

// folder is the file's package as the rules name it: "shm".
func (s *source) folder() string { return path.Dir(s.path) }

// imports maps the paths that the file imports to the names it gives them, "" where it gives none.
func (s *source) imports() map[string]string {
	names := map[string]string{}
	for _, spec := range s.Imports {
		p, _ := strconv.Unquote(spec.Path.Value) // the parser has accepted it
		names[p] = ""
		if spec.Name != nil {
			names[p] = spec.Name.Name
		}
	}
	return names
}

var positions = token.NewFileSet()

// sources parses every Go file of the module.
func sources(t *testing.T) []*source {
	t.Helper()
	var all []*source
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if name == "testdata" || file != root && strings.HasPrefix(name, ".") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(positions, file, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, &source{path: filepath.ToSlash(rel), test: strings.HasSuffix(name, "_test.go"), File: f})
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}
