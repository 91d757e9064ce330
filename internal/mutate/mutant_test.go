package mutate

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// mutant is a file with one mistake.
type mutant struct {
	file  string // from the root: "sync/mutex.go"
	line  int
	kind  string // which kind of mistake: "drop"
	name  string // unique in the file, and the same when lines move: "Mutex.lock: drop mine |= sleepers"
	edits []edit
}

// edit replaces a range of the file.
type edit struct {
	from, to int
	text     string
}

func (m *mutant) apply(src string) string {
	for _, e := range slices.Backward(m.edits) {
		src = src[:e.from] + e.text + src[e.to:]
	}
	return src
}

// breaker collects the mutants of one file.
type breaker struct {
	file, src string
	fset      *token.FileSet
	free      []string
	within    string // the function
	all       []*mutant
}

// mutants makes all mutants of a file, in an order in which the kinds take turns:
// any first few of them have some of each kind. What only a free run does is left
// as it is: the named functions and statements, and what asks whether the run is driven.
func mutants(file, src string, free []string) ([]*mutant, error) {
	b := &breaker{file: file, src: src, fset: token.NewFileSet(), free: free}
	f, err := parser.ParseFile(b.fset, file, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && !slices.Contains(free, fn.Name.Name) {
			b.within = fn.Name.Name
			ast.Inspect(fn.Body, b.visit)
		}
	}
	b.number()
	return inTurns(b.all), nil
}

func (b *breaker) number() {
	seen := map[string]int{}
	for _, m := range b.all {
		seen[m.name]++
		if n := seen[m.name]; n > 1 {
			m.name += " #" + strconv.Itoa(n)
		}
	}
}

func inTurns(all []*mutant) []*mutant {
	rank := map[*mutant]int{}
	slices.SortStableFunc(all, func(a, c *mutant) int { return cmp.Compare(lot(a), lot(c)) })
	of := map[string]int{}
	for _, m := range all {
		rank[m] = of[m.kind]
		of[m.kind]++
	}
	slices.SortStableFunc(all, func(a, c *mutant) int { return cmp.Compare(rank[a], rank[c]) })
	return all
}

// lot draws a mutant's place among those of its kind, the same in every run.
func lot(m *mutant) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(m.file + m.name))
	return h.Sum64()
}

func (b *breaker) add(at ast.Node, kind, what string, edits ...edit) {
	what = strings.Join(strings.Fields(what), " ")
	b.all = append(b.all, &mutant{
		file: b.file, line: b.fset.Position(at.Pos()).Line, kind: kind,
		name: b.within + ": " + kind + " " + what, edits: edits,
	})
}

func (b *breaker) offset(p token.Pos) int { return b.fset.Position(p).Offset }
func (b *breaker) text(n ast.Node) string { return b.src[b.offset(n.Pos()):b.offset(n.End())] }
func (b *breaker) driven(n ast.Node) bool { return strings.Contains(b.text(n), "step.Driven") }

// stays reports whether a statement is one that the search cannot miss, or only talks to its driver.
func (b *breaker) stays(n ast.Node) bool {
	text := strings.TrimPrefix(b.text(n), "defer ")
	return strings.Contains(text, "step.") || slices.Contains(b.free, text)
}

func (b *breaker) replace(n ast.Node, text string) edit {
	return edit{b.offset(n.Pos()), b.offset(n.End()), text}
}

func (b *breaker) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BlockStmt:
		b.statements(n.List)
	case *ast.CaseClause:
		b.statements(n.Body)
	case *ast.IfStmt:
		if b.driven(n.Cond) {
			return false
		}
		b.condition(n.Cond)
	case *ast.ForStmt:
		if n.Cond != nil && b.driven(n.Cond) {
			return false
		}
		b.loop(n)
	case *ast.BinaryExpr:
		b.binary(n)
	case *ast.CallExpr:
		if f := b.text(n.Fun); f == "panic" || strings.HasPrefix(f, "step.") {
			return false // a wrong text or label is not for the search to find
		}
		b.call(n)
	case *ast.BasicLit:
		if n.Kind == token.INT {
			b.add(n, "change", n.Value+" to "+n.Value+"+1", b.replace(n, "("+n.Value+" + 1)"))
		}
	case *ast.ReturnStmt:
		if len(n.Results) == 1 {
			if r, ok := n.Results[0].(*ast.Ident); ok && (r.Name == "true" || r.Name == "false") {
				b.add(n, "change", b.text(n), b.replace(r, "!"+r.Name))
			}
		}
	}
	return true
}

// statements drops statements, and swaps those that stand side by side.
func (b *breaker) statements(list []ast.Stmt) {
	for i, s := range list {
		if drops(s) && !b.stays(s) {
			b.add(s, "drop", b.text(s), b.replace(s, ""))
		}
		if i == 0 {
			continue
		}
		if before := list[i-1]; simple(s) && simple(before) && !b.stays(s) && !b.stays(before) {
			b.add(before, "swap", b.text(before)+"; "+b.text(s), b.replace(before, b.text(s)), b.replace(s, b.text(before)))
		}
	}
}

func simple(s ast.Stmt) bool {
	switch s.(type) {
	case *ast.ExprStmt, *ast.AssignStmt, *ast.IncDecStmt:
		return true
	}
	return false
}

func drops(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.ExprStmt:
		f, ok := s.X.(*ast.CallExpr).Fun.(*ast.Ident)
		return !ok || f.Name != "panic"
	case *ast.AssignStmt:
		return s.Tok != token.DEFINE
	case *ast.BranchStmt:
		return s.Tok == token.CONTINUE
	case *ast.IncDecStmt, *ast.DeferStmt:
		return true
	}
	return false
}

func (b *breaker) condition(c ast.Expr) {
	b.add(c, "negate", b.text(c), b.replace(c, "!("+b.text(c)+")"))
}

// loop lets a loop run once at most.
func (b *breaker) loop(n *ast.ForStmt) {
	if n.Init != nil || n.Post != nil {
		return
	}
	cond, title := "", "for"
	if n.Cond != nil {
		b.condition(n.Cond)
		cond, title = " && ("+b.text(n.Cond)+")", "for "+b.text(n.Cond)
	}
	b.add(n, "once", title, edit{b.offset(n.Pos()), b.offset(n.Body.Pos()), "for once := true; once" + cond + "; once = false "})
}

// binary leaves out one side of an expression, or takes the other comparison.
func (b *breaker) binary(n *ast.BinaryExpr) {
	all := b.text(n)
	switch n.Op {
	case token.LAND, token.LOR:
		if !b.driven(n) {
			b.add(n, "halve", all+" to "+b.text(n.X), b.replace(n, b.text(n.X)))
			b.add(n, "halve", all+" to "+b.text(n.Y), b.replace(n, b.text(n.Y)))
		}
	case token.OR, token.AND_NOT:
		b.add(n, "halve", all+" to "+b.text(n.X), b.replace(n, b.text(n.X)))
	}
}

func (b *breaker) call(n *ast.CallExpr) {
	f, ok := n.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	on := b.text(f.X)
	arg := func(i int) string { return b.text(n.Args[i]) }
	switch method := f.Sel.Name; {
	case (method == "Wake" || method == "WakeLow") && arg(0) == "1":
		b.add(n, "wake", "none: "+b.text(n), b.replace(n.Args[0], "0"))
	case method == "Wake" || method == "WakeLow":
		b.add(n, "wake", "one: "+b.text(n), b.replace(n.Args[0], "1"))
	case method == "CompareAndSwap" && len(n.Args) == 2:
		b.add(n, "reverse", b.text(n), b.replace(n.Args[0], arg(1)), b.replace(n.Args[1], arg(0)))
		b.add(n, "store", "blindly: "+b.text(n), b.replace(n, fmt.Sprintf("func() bool { %s.Store(%s); return true }()", on, arg(1))))
	case method == "WaitWatching":
		b.add(n, "unwatch", b.text(n), b.replace(n, fmt.Sprintf("func(_ ...any) error { return %s.Wait(%s, %s) }(%s)", on, arg(0), arg(1), arg(2))))
	case method == "Wait" && len(n.Args) > 1:
		b.add(n, "spin", b.text(n), b.replace(n, fmt.Sprintf("func(_ ...any) error { return nil }(%s, %s)", arg(0), arg(len(n.Args)-1))))
	}
}
