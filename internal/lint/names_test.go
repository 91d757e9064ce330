package lint

import (
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"
)

// Order is arranged by a schedule: a test that sleeps is slow where the machine
// is fast and wrong where it is slow.
func TestNoTestSleeps(t *testing.T) {
	for _, s := range sources(t) {
		name, imported := s.imports()["time"]
		if !s.test || !imported {
			continue
		}
		if name == "" {
			name = "time"
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == name {
					t.Errorf("%s: a test sleeps; arrange the order by a schedule", positions.Position(sel.Pos()))
				}
			}
			return true
		})
	}
}

// A command that does something has it in a package, where it can be tested. An
// example is read from top to bottom.
func TestMainFilesAreTiny(t *testing.T) {
	const lines = 25
	for _, s := range sources(t) {
		if s.Name.Name != "main" || s.test || strings.HasPrefix(s.path, "examples/") {
			continue
		}
		if path.Base(s.path) != "main.go" {
			t.Errorf("%s: package main is one file, main.go", s.path)
		}
		if n := positions.File(s.Pos()).LineCount(); n > lines {
			t.Errorf("%s: %d lines, at most %d", s.path, n, lines)
		}
	}
}

// A package is one noun that says what it holds.
func TestPackagesAreNamedAfterWhatTheyHold(t *testing.T) {
	says := []string{"util", "utils", "common", "helper", "helpers", "base", "types", "core"}
	for _, s := range sources(t) {
		if slices.Contains(says, s.Name.Name) || slices.Contains(says, path.Base(s.folder())) {
			t.Errorf("%s: %q does not say what the package holds", s.path, s.Name.Name)
		}
	}
}
