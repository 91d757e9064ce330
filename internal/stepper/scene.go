package stepper

import (
	"strings"

	"github.com/interlock-go/interlock/explore"
)

// scene is all that a screen shows. It is a copy: it can be drawn while the
// participants go on.
type scene struct {
	title    string
	where    string
	steps    int
	people   []explore.Participant
	source   []string // the text of the line that each is at
	selected int
	fields   []Field
	trace    []explore.Event
	picked   []explore.Picked

	over    bool
	verdict explore.Verdict
	finding string
	replay  string

	message string // what came of the last key
	typing  bool
	typed   string
	help    bool
}

// Field is a field of the shared struct that somebody has touched, or is about to.
type Field struct {
	Path    string `json:"path"`
	Value   string `json:"value"`
	Changed bool   `json:"changed"` // by the last move
}

// Shared are the fields that somebody has touched, or is about to, and the message
// that the last key has left.
func (s *Stepper) Shared() (fields []Field, message string) { return s.scene.fields, s.scene.message }

// look makes the scene out of what the session is at. moved says that it is
// somewhere else than before.
func (s *Stepper) look(moved bool) {
	x := s.session
	c := scene{title: s.o.Title, where: s.o.Where, steps: x.Steps(), people: x.Participants(), selected: s.selected,
		trace: x.Trace(), picked: x.Picked(), over: x.Over(), replay: s.o.Replay(x.Schedule()),
		message: s.message, typing: s.typing, typed: s.typed, help: s.help}
	for _, p := range c.people {
		c.source = append(c.source, s.o.Source(p.Next.Position))
		s.touch(p.Next)
	}
	for _, ev := range c.trace {
		s.touch(ev)
	}
	if moved {
		s.before, s.now = s.now, map[string]string{}
	}
	for _, f := range x.Fields() {
		if moved {
			s.now[f.Path] = f.Value
		}
		was, known := s.before[f.Path]
		changed := known && was != f.Value
		s.touched[f.Path] = s.touched[f.Path] || changed
		if s.touched[f.Path] {
			c.fields = append(c.fields, Field{f.Path, f.Value, changed})
		}
	}
	if c.over {
		r := x.Result()
		c.verdict, c.finding = r.Verdict, r.Finding
	}
	s.scene = c
}

// touch notes the fields that a step is about: "Mutex after NotEmpty" are two.
func (s *Stepper) touch(ev explore.Event) {
	for _, word := range strings.Fields(ev.Object) {
		s.touched[word] = true
	}
}
