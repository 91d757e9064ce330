package problems

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/interlock-go/interlock/internal/step"
)

// P is a participant's handle.
type P = step.P

// Params are the numbers that an instance of a problem is built from.
type Params = step.Params

// Program is an instance of a variant: a shared struct, roles and oracles.
type Program = step.Program

// Role is what one participant does with the shared struct.
type Role[T any] = step.RoleOf[T]

// Spec describes a program over a shared struct of type T.
type Spec[T any] = step.Spec[T]

// NewProgram makes a program out of its description.
func NewProgram[T any](name string, s Spec[T]) *Program { return step.NewProgram(name, s) }

// Problem is one of the workbook's problems.
type Problem struct {
	Name       string // as the command has it: "bounded-buffer"
	Title      string
	Promise    string // what every right solution keeps, in one sentence
	Source     string // who posed it
	Parameters []Parameter
	Variants   []*Variant

	Unit string           // of the work: "items"
	Work func(Params) int // how many units an instance does
	Text string           // the package's doc.go, which states the problem
	Code fs.FS            // holds each variant's solution.go
	Next string           // what to try next
	Pair [2]string        // the variants that compare sets side by side
}

// Parameter is a number that an instance is built from. Its default differs
// between a run, which wants work enough to collide, and a search, which wants
// the smallest instance that shows everything.
type Parameter struct {
	Name     string
	Doc      string
	Run      int
	Search   int
	Min, Max int
}

// Variant is a solution, right or wrong.
type Variant struct {
	Name string
	Idea string // of the solution, in a few words

	// Of a broken variant:
	Class   string // of the bug
	Found   string // verdict of a search
	Happens string // verdict of a run between processes, when it goes wrong there
	Fixed   string // the variant that mends it, to be compared with

	Why string // it is broken, or right
	New func(name string, params Params) *Program
}

// Broken reports whether the variant is a wrong solution.
func (v *Variant) Broken() bool { return v.Found != "" }

// Variant is the variant of the given name, nil if there is none.
func (p *Problem) Variant(name string) *Variant {
	for _, v := range p.Variants {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// FullName is the name under which a variant's programs are known.
func (p *Problem) FullName(v *Variant) string { return p.Name + "/" + v.Name }

// Folder is the name of the folder that holds something of the given command name.
func Folder(name string) string { return strings.ReplaceAll(name, "-", "") }

// Solution is the source of a variant.
func (p *Problem) Solution(v *Variant) (string, error) {
	text, err := fs.ReadFile(p.Code, Folder(v.Name)+"/solution.go")
	if err != nil {
		return "", fmt.Errorf("problems: source of %s: %w", p.FullName(v), err)
	}
	return string(text), nil
}

// Statement is the problem as its package states it.
func (p *Problem) Statement() string {
	var lines []string
	for line := range strings.Lines(p.Text) {
		text, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "//")
		if !ok {
			break
		}
		lines = append(lines, strings.TrimPrefix(text, " "))
	}
	return strings.Join(lines, "\n")
}

// Parameter is the parameter of the given name, nil if there is none.
func (p *Problem) Parameter(name string) *Parameter {
	for i := range p.Parameters {
		if p.Parameters[i].Name == name {
			return &p.Parameters[i]
		}
	}
	return nil
}

// RangeError is the error about a parameter outside its range.
type RangeError struct {
	Problem   string
	Parameter Parameter
	Value     int
}

func (e *RangeError) Error() string {
	return fmt.Sprintf("%s: %s %d: allowed are %d to %d", e.Problem, e.Parameter.Name, e.Value, e.Parameter.Min, e.Parameter.Max)
}

// Check checks given parameters against their ranges and fills in the others,
// for a search or for a run.
func (p *Problem) Check(given Params, search bool) (Params, error) {
	for name := range given {
		if p.Parameter(name) == nil {
			return nil, fmt.Errorf("%s: no parameter %s", p.Name, name)
		}
	}
	params := Params{}
	for _, q := range p.Parameters {
		v, ok := given[q.Name]
		switch {
		case ok && (v < q.Min || v > q.Max):
			return nil, &RangeError{p.Name, q, v}
		case !ok && search:
			v = q.Search
		case !ok:
			v = q.Run
		}
		params[q.Name] = v
	}
	return params, nil
}
