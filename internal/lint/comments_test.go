package lint

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"testing"
)

// library are the packages that others import.
var library = []string{"shm", "sync", "sync/pthread", "condvar", "sem", "ipc", "ipc/*", "explore", "problems"}

// conventional methods are documented by the interface that they implement.
var conventional = []string{"Error", "String", "Unwrap"}

func TestWhatTheLibraryExportsIsDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		inLibrary := slices.ContainsFunc(library, func(p string) bool { ok, _ := path.Match(p, s.folder()); return ok })
		if s.test || !inLibrary {
			continue
		}
		documented[s.folder()] = documented[s.folder()] || s.Doc != nil
		for _, decl := range s.Decls {
			for _, name := range undocumented(decl) {
				t.Errorf("%s: %s has no doc comment", positions.Position(name.Pos()), name.Name)
			}
		}
	}
	for folder, ok := range documented {
		if !ok {
			t.Errorf("%s: the package has no doc comment", folder)
		}
	}
}

// undocumented are the exported names that a declaration makes and says nothing
// about. A group of constants or variables may have one comment for all, and a
// constant its own behind it.
func undocumented(decl ast.Decl) (names []*ast.Ident) {
	if f, ok := decl.(*ast.FuncDecl); ok {
		if f.Doc == nil && f.Name.IsExported() && exportedReceiver(f) && !(f.Recv != nil && slices.Contains(conventional, f.Name.Name)) {
			names = append(names, f.Name)
		}
		return names
	}
	g := decl.(*ast.GenDecl)
	for _, spec := range g.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && spec.Doc == nil && g.Doc == nil {
				names = append(names, spec.Name)
			}
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				if name.IsExported() && spec.Doc == nil && spec.Comment == nil && (g.Doc == nil || g.Tok == token.VAR && len(g.Specs) > 1) {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	e := f.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}
