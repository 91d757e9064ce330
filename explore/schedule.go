package explore

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-go/interlock/internal/step"
)

// Schedule is the sequence of choices that makes one execution, and what it was
// made for. Its text is one line without blanks:
//
//	il1c-5f0a93-0x3.1.2x4v1.k0.s2
//
// The parts are the version and granularity (c coarse, f fine); a mark of the
// program (its struct, roles and parameters), and the choices: a number is a
// step of that participant, x4 repeats it; v1 is the value 1, chosen within the
// step before it (which waiter was woken, or P.Choose); k0 kills participant 0;
// s2 wakes participant 2 spuriously; t0 ends the context of participant 0.
type Schedule struct {
	Fine    bool
	Program string // the program's mark
	Choices []Choice
}

// maxChoices bounds what a schedule's text can ask for.
const maxChoices = 1 << 20

// String is the schedule's text.
func (s Schedule) String() string {
	if s.Program == "" {
		return ""
	}
	var b strings.Builder
	granularity := 'c'
	if s.Fine {
		granularity = 'f'
	}
	fmt.Fprintf(&b, "il1%c-%s-", granularity, s.Program)
	for i := 0; i < len(s.Choices); {
		c := s.Choices[i]
		if i > 0 && c.Kind != Pick {
			b.WriteByte('.')
		}
		n := 1
		switch c.Kind {
		case Run:
			for i+n < len(s.Choices) && s.Choices[i+n] == c {
				n++
			}
			b.WriteString(strconv.Itoa(c.N))
			if n > 1 {
				fmt.Fprintf(&b, "x%d", n)
			}
		case Spurious:
			fmt.Fprintf(&b, "s%d", c.N)
		case Kill:
			fmt.Fprintf(&b, "k%d", c.N)
		case Timeout:
			fmt.Fprintf(&b, "t%d", c.N)
		case Pick:
			fmt.Fprintf(&b, "v%d", c.N)
		}
		i += n
	}
	return b.String()
}

// ParseSchedule reads a schedule's text. An error says at which position, from
// 1, the text is wrong.
func ParseSchedule(text string) (Schedule, error) {
	r := reader{text: text}
	s, err := r.schedule()
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule: position %d: %w", r.at+1, err)
	}
	return s, nil
}

type reader struct {
	text string
	at   int
}

func (r *reader) schedule() (s Schedule, err error) {
	if !r.eat("il1") {
		if r.eat("il") {
			return s, fmt.Errorf("version %q, this is version 1", r.upTo('-'))
		}
		return s, fmt.Errorf("expected il1c- or il1f-")
	}
	switch {
	case r.eat("c-"):
	case r.eat("f-"):
		s.Fine = true
	default:
		return s, fmt.Errorf("expected the granularity, c- or f-")
	}
	for i := 0; i < markLength; i++ {
		if r.at == len(r.text) || !strings.ContainsRune("0123456789abcdef", rune(r.text[r.at])) {
			return s, fmt.Errorf("expected the program's mark, %d hexadecimal digits", markLength)
		}
		s.Program += r.text[r.at : r.at+1]
		r.at++
	}
	if !r.eat("-") {
		return s, fmt.Errorf("expected - after the program's mark")
	}
	for r.at < len(r.text) {
		if len(s.Choices) > 0 && r.text[r.at] != 'v' && !r.eat(".") {
			return s, fmt.Errorf("expected . before the next choice")
		}
		if err := r.choice(&s); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (r *reader) choice(s *Schedule) error {
	c, most := Choice{Kind: Run}, MaxParticipants-1
	switch {
	case r.eat("k"):
		c.Kind = Kill
	case r.eat("s"):
		c.Kind = Spurious
	case r.eat("t"):
		c.Kind = Timeout
	case len(s.Choices) == 0 && strings.HasPrefix(r.text[r.at:], "v"):
		return fmt.Errorf("a value before the first step")
	case r.eat("v"):
		c.Kind, most = Pick, step.MaxChoose-1
	}
	var err error
	if c.N, err = r.number(0, most); err != nil {
		return err
	}
	times := 1
	if c.Kind == Run && r.eat("x") {
		if times, err = r.number(2, maxChoices); err != nil {
			return err
		}
	}
	if len(s.Choices)+times > maxChoices {
		return fmt.Errorf("more than %d choices", maxChoices)
	}
	for range times {
		s.Choices = append(s.Choices, c)
	}
	return nil
}

// number reads a number between two limits. On error the position is its first digit's.
func (r *reader) number(least, most int) (int, error) {
	end := r.at
	for end < len(r.text) && r.text[end] >= '0' && r.text[end] <= '9' {
		end++
	}
	digits := r.text[r.at:end]
	if digits == "" {
		return 0, fmt.Errorf("expected a number")
	}
	if len(digits) > 1 && digits[0] == '0' {
		return 0, fmt.Errorf("a number with a leading zero")
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%.20s is not between %d and %d", digits, least, most)
	}
	r.at = end
	return n, nil
}

func (r *reader) eat(prefix string) bool {
	if !strings.HasPrefix(r.text[r.at:], prefix) {
		return false
	}
	r.at += len(prefix)
	return true
}

func (r *reader) upTo(c byte) string {
	rest := r.text[r.at:]
	if i := strings.IndexByte(rest, c); i >= 0 {
		rest = rest[:i]
	}
	return rest[:min(len(rest), 8)]
}

const markLength = 6

// mark identifies what a schedule is valid for: the struct's schema, the roles
// and the parameters. Changes of the code show up as a divergence.
func (e *engine) mark() string {
	h := fnv.New64a()
	fmt.Fprintln(h, e.prog.Name)
	fmt.Fprintln(h, e.schema)
	for _, r := range e.prog.Roles {
		fmt.Fprintln(h, r.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(e.prog.Params)) {
		fmt.Fprintln(h, name, e.prog.Params[name])
	}
	return fmt.Sprintf("%016x", h.Sum64())[:markLength]
}
