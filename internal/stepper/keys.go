package stepper

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/lock"
)

// Options say what a stepper needs to know besides its session.
type Options struct {
	Title  string                                          // of the program
	Where  string                                          // it runs
	Seed   uint64                                          // of the first random choices
	Source func(position string) string                    // the text of a line, "" where it is not known
	Replay func(explore.Schedule) string                   // the command that replays a schedule
	Write  func(explore.Schedule) (done string, err error) // what the key to write does
}

// Stepper moves a session by keys. It is used by one goroutine at a time.
type Stepper struct {
	session *explore.Session
	o       Options
	scene   scene

	selected    int
	seed        uint64
	touched     map[string]bool   // fields that are shown
	before, now map[string]string // values before and after the last move
	message     string
	typing      bool
	typed       string
	help        bool

	going lock.Mutex // held while a key is done
	left  bool       // nobody looks any more
}

// New makes a stepper of a session, which stays the caller's to close.
func New(session *explore.Session, o Options) *Stepper {
	s := &Stepper{session: session, o: o, seed: o.Seed, touched: map[string]bool{}}
	s.look(true)
	return s
}

// command is what a key other than a number does.
type command struct {
	keys  []string
	words string
	do    func(*Stepper) (moved bool, err error)
}

// commands are filled in by init, since the help is one of them and lists them.
var commands []command

func init() {
	commands = []command{
		{[]string{"enter"}, "one step of the marked participant", (*Stepper).stepSelected},
		{[]string{"left", "right"}, "mark another participant", nil},
		{[]string{"r"}, "the marked one goes until it cannot any more", func(s *Stepper) (bool, error) { return true, s.session.RunUntilBlocked(s.who()) }},
		{[]string{"/"}, "it goes to an operation, a field or a line that you type", func(s *Stepper) (bool, error) { s.typing, s.typed = true, ""; return false, nil }},
		{[]string{"b"}, "one step back", func(s *Stepper) (bool, error) { return s.back(1) }},
		{[]string{"B"}, "back to the beginning", func(s *Stepper) (bool, error) { return s.back(s.session.Steps()) }},
		{[]string{"v"}, "the last step again, with the next value that it could have chosen", (*Stepper).another},
		{[]string{"k"}, "kill it", func(s *Stepper) (bool, error) { return true, s.session.Kill(s.who()) }},
		{[]string{"s"}, "wake it for no reason, if it sleeps", func(s *Stepper) (bool, error) { return true, s.session.Spurious(s.who()) }},
		{[]string{"t"}, "end its context, if it waits with one", func(s *Stepper) (bool, error) { return true, s.session.Timeout(s.who()) }},
		{[]string{"p"}, "one step of anybody, at random", func(s *Stepper) (bool, error) { return true, s.play(1) }},
		{[]string{"P"}, "go on at random to the end", func(s *Stepper) (bool, error) { return true, s.play(0) }},
		{[]string{"w"}, "write the schedule", (*Stepper).write},
		{[]string{"?"}, "these keys", func(s *Stepper) (bool, error) { s.help = true; return false, nil }},
		{[]string{"q"}, "quit", nil},
	}
}

// find is the command of a key, nil if it has none.
func find(key string) *command {
	for i := range commands {
		if slices.Contains(commands[i].keys, key) {
			return &commands[i]
		}
	}
	return nil
}

// Press does what a key means, which is named as terminals name it ("a", "enter",
// "left"); a number is a step of that participant. It reports whether it was the
// key to quit. It blocks while participants go on.
func (s *Stepper) Press(key string) (quit bool) {
	s.going.Lock()
	defer s.going.Unlock()
	if s.left {
		return true
	}
	moved := false
	switch {
	case s.typing:
		moved = s.letter(key)
	case s.help:
		s.help = false
	case key == "q":
		return true
	default:
		s.message = ""
		var err error
		if moved, err = s.press(key); err != nil {
			moved, s.message = false, plainly(err)
		}
	}
	s.look(moved)
	return false
}

func (s *Stepper) press(key string) (moved bool, err error) {
	if n, err := strconv.Atoi(key); err == nil {
		if n < 0 || n >= len(s.scene.people) {
			return false, fmt.Errorf("there is no P%d", n)
		}
		s.selected = n
		return s.stepSelected()
	}
	switch c := find(key); {
	case key == "left" || key == "right":
		n := len(s.scene.people)
		s.selected = (s.selected + map[string]int{"left": n - 1, "right": 1}[key]) % n
		return false, nil
	case c == nil:
		return false, fmt.Errorf("no such key: %s; ? shows them", key)
	default:
		return c.do(s)
	}
}

// letter is a key while something is typed.
func (s *Stepper) letter(key string) (moved bool) {
	switch key {
	case "enter":
		s.typing, s.message = false, ""
		if s.typed == "" {
			return false
		}
		if err := s.session.RunTo(s.who(), s.typed); err != nil {
			s.message = plainly(err)
		}
		return true // also where it has stopped elsewhere
	case "esc":
		s.typing = false
	case "backspace":
		if r := []rune(s.typed); len(r) > 0 {
			s.typed = string(r[:len(r)-1])
		}
	case "space":
		s.typed += " "
	default:
		if len([]rune(key)) == 1 {
			s.typed += key
		}
	}
	return false
}

func (s *Stepper) who() string { return "P" + strconv.Itoa(s.selected) }

func (s *Stepper) stepSelected() (bool, error) { return true, s.session.Next(s.who()) }

func (s *Stepper) back(n int) (bool, error) {
	if s.session.Steps() == 0 {
		return false, fmt.Errorf("this is the beginning")
	}
	return true, s.session.Back(n)
}

// play goes on at random. The next time it is another way.
func (s *Stepper) play(steps int) error {
	seed := s.seed
	s.seed++
	return s.session.Play(seed, steps)
}

// another makes the last step again with the next of the values that it could have chosen.
func (s *Stepper) another() (bool, error) {
	var values []int
	picked := s.session.Picked()
	for _, p := range picked {
		values = append(values, p.Value)
	}
	// As an odometer: the last that can go on does, and those behind it begin anew.
	for len(values) > 0 && values[len(values)-1]+1 == picked[len(values)-1].Of {
		values = values[:len(values)-1]
	}
	switch {
	case len(picked) == 0:
		return false, fmt.Errorf("the last step had nothing to choose from")
	case len(values) > 0:
		values[len(values)-1]++
	}
	choices := s.session.Schedule().Choices
	step := choices[len(choices)-1-len(picked)]
	if err := s.session.Back(1); err != nil {
		return true, err
	}
	return true, s.session.Choose(step, values...)
}

func (s *Stepper) write() (bool, error) {
	to, err := s.o.Write(s.session.Schedule())
	if err == nil {
		s.message = to
	}
	return false, err
}

// plainly is an error for somebody who has just pressed the key that caused it.
func plainly(err error) string {
	text := strings.TrimPrefix(err.Error(), "explore: ")
	if _, why, ok := strings.Cut(text, " cannot be chosen: "); ok {
		return why
	}
	if strings.HasPrefix(text, "the execution is over") { // as the screen says anyway
		return "it is over; b goes back"
	}
	return text
}
