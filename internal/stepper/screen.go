package stepper

import (
	"fmt"
	"path"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/interlock-go/interlock/explore"
)

// span is a stretch of text in one style; nothing is said by style alone.
type span struct {
	text  string
	style style
}

type style string // the parameters of an SGR sequence, "" for none

const (
	plain    style = ""
	bold     style = "1"
	faint    style = "2"
	reversed style = "7"
	alarming style = "1;31"
	pleasant style = "1;32"
	striking style = "1;33"
)

type line []span

func of(text string) line { return line{{text, plain}} }

// text is the line without styles.
func (l line) text() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.text)
	}
	return strings.TrimRight(b.String(), " ")
}

// styled is the line in at most width columns, with styles.
func (l line) styled(width int) string {
	var b strings.Builder
	for _, s := range l {
		if s.style == plain {
			b.WriteString(s.text)
		} else {
			fmt.Fprintf(&b, "\x1b[%sm%s\x1b[m", s.style, s.text)
		}
	}
	return ansi.Truncate(b.String(), width, "…")
}

// Screen is what is to be seen, without styles, in so many columns and rows.
func (s *Stepper) Screen(width, height int) string {
	var b strings.Builder
	for _, l := range s.scene.draw(width, height) {
		b.WriteString(ansi.Truncate(l.text(), width, "…") + "\n")
	}
	return b.String()
}

// draw lays the scene out. What matters most is at the top and at the bottom; the
// middle takes what they leave.
func (c *scene) draw(width, height int) []line {
	if c.help {
		return c.drawHelp()
	}
	top := append(c.heading(), c.columns(width)...)
	bottom := c.bottom(width)
	room := height - len(top) - len(bottom)
	var middle []line
	add := func(rows []line, most int) {
		if most = min(most, room-len(middle)-1); most > 0 && len(rows) > 0 {
			middle = append(append(middle, line{}), rows[:min(most, len(rows))]...)
		}
	}
	add(c.shared(width, max(1, room/2-1)), room)
	add(c.waits(), room)
	trace := c.past()
	add(trace[max(0, len(trace)-max(0, room-len(middle)-1)):], room)
	for len(middle) < room {
		middle = append(middle, line{})
	}
	all := append(append(top, middle...), bottom...)
	if over := len(all) - height; over > 0 { // the window is very low
		keep := max(0, height-len(bottom))
		all = append(all[:keep:keep], bottom[max(0, len(bottom)-height):]...)
	}
	return all
}

func (c *scene) heading() []line {
	return []line{{{c.title, bold}, {fmt.Sprintf("  step %d  %s", c.steps, c.where), plain}}, {}}
}

// narrowest is the least width of a participant's column.
const narrowest = 19

// columns are the participants beside each other, those around the marked one if
// there is no room for all.
func (c *scene) columns(width int) []line {
	n := min(len(c.people), max(1, width/narrowest))
	first := min(max(0, c.selected-n/2), len(c.people)-n)
	const rows = 8
	lines := make([]line, rows)
	for i := first; i < first+n; i++ {
		cells := c.column(i, width/n-2)
		for k := range lines {
			text := ""
			if k < len(cells) {
				text = cells[k].text
				lines[k] = append(lines[k], span{ansi.Truncate(text, width/n-2, "…"), cells[k].style})
			}
			pad := width/n - min(ansi.StringWidth(text), width/n-2)
			lines[k] = append(lines[k], span{strings.Repeat(" ", pad), plain})
		}
	}
	for len(lines) > 0 && lines[len(lines)-1].text() == "" {
		lines = lines[:len(lines)-1]
	}
	if n < len(c.people) {
		lines = append(lines, of(fmt.Sprintf("P%d to P%d of P0 to P%d", first, first+n-1, len(c.people)-1)))
	}
	return lines
}

// column is one participant: who it is, [in brackets] if it can go, what it does
// next and where, what it holds, and what keeps it.
func (c *scene) column(i, width int) []span {
	p := c.people[i]
	head := span{fmt.Sprintf("  %d  %s", p.ID, p.Role), plain}
	if p.Enabled {
		head = span{fmt.Sprintf(" [%d] %s", p.ID, p.Role), bold}
	}
	if i == c.selected {
		head.text = ">" + head.text[1:]
		head.style = reversed
	}
	cells := []span{head}
	say := func(text string, rows int, st style) {
		for _, t := range wrap(text, width-1, rows) {
			cells = append(cells, span{" " + t, st})
		}
	}
	switch {
	case p.Ended:
		say("has ended", 1, faint)
	case p.Dead:
		say("is dead", 1, alarming)
	default:
		say(p.Next.String(), 2, plain)
		say(path.Base(p.Next.Position), 1, faint)
		if c.source[i] != "" {
			say(c.source[i], 1, faint)
		}
		switch {
		case p.Asleep:
			say("sleeps", 1, plain)
		case !p.Enabled && !c.over:
			say("waits", 1, plain)
		}
	}
	if len(p.Holds) > 0 {
		say("holds "+strings.Join(p.Holds, ", "), 2, plain)
	}
	return cells
}

// shared are the fields that were touched, in at most so many rows; * marks those
// that the last move has changed.
func (c *scene) shared(width, rows int) []line {
	widest := 0
	for _, f := range c.fields {
		widest = max(widest, ansi.StringWidth(f.text()))
	}
	widest = min(widest+3, width)
	n := max(1, width/max(1, widest))
	if hidden := len(c.fields) - n*rows; hidden > 0 && rows > 1 {
		return append(c.grid(n, widest, rows-1), of(fmt.Sprintf(" … %d fields more", hidden+n)))
	}
	return c.grid(n, widest, rows)
}

func (c *scene) grid(n, widest, rows int) (lines []line) {
	for i, f := range c.fields {
		if i/n >= rows {
			break
		}
		if i%n == 0 {
			lines = append(lines, line{})
		}
		at := &lines[len(lines)-1]
		cell := span{" " + f.text(), plain}
		if f.Changed {
			cell = span{"*" + f.text(), striking}
		}
		*at = append(*at, cell, span{strings.Repeat(" ", max(0, widest-ansi.StringWidth(cell.text))), plain})
	}
	return lines
}

func (f Field) text() string { return f.Path + " = " + f.Value }

// waits say who holds what and waits for what.
func (c *scene) waits() (lines []line) {
	for _, p := range c.people {
		if p.Why != "" && !p.Ended && (!c.over || p.WaitsFor != "" || p.Dead) {
			lines = append(lines, of(" "+p.Why))
		}
	}
	return lines
}

// past are the steps so far.
func (c *scene) past() (lines []line) {
	for i, ev := range c.trace {
		text := fmt.Sprintf(" %4d  P%d %s", ev.Step, ev.Participant, ev)
		if i == len(c.trace)-1 {
			for _, p := range c.picked {
				text += fmt.Sprintf(" (%d of 0 to %d: v takes another)", p.Value, p.Of-1)
			}
		}
		lines = append(lines, line{{text + "  ", plain}, {path.Base(ev.Position), faint}})
	}
	return lines
}

// bottom is what has come of it, and the keys.
func (c *scene) bottom(width int) []line {
	var lines []line
	say := func(text string, rows int, st style) {
		for _, t := range wrap(text, width, rows) {
			lines = append(lines, line{{t, st}})
		}
	}
	switch {
	case c.typing:
		say(fmt.Sprintf("P%d to (an operation, a field, a line): %s_", c.selected, c.typed), 1, bold)
	case c.message != "":
		say(c.message, 2, striking)
	}
	switch {
	case !c.over:
	case c.verdict == explore.Holds:
		say("Everybody has ended, and nothing is wrong.", 1, pleasant)
	case c.verdict == explore.Unknown:
		say("It goes no further: "+c.finding, 2, alarming)
	default:
		say(fmt.Sprintf("You broke it. %s: %s", c.verdict, c.finding), 4, alarming)
	}
	if c.over {
		say(c.replay, 3, plain)
	}
	lines = append(lines, line{{c.keys(), faint}})
	if len(lines) > 0 {
		lines = append([]line{{}}, lines...)
	}
	return lines
}

func (c *scene) keys() string {
	if c.typing {
		return "enter: go  esc: not"
	}
	if c.over {
		return "b back  B to the beginning  v other value  w write  ? help  q quit"
	}
	return fmt.Sprintf("0-%d step  r run  / run to  b back  k kill  p play  w write  ? help  q quit", len(c.people)-1)
}

func (c *scene) drawHelp() []line {
	lines := []line{of("A participant with its number in [brackets] can go. * marks what has changed."), {}}
	row := func(keys, words string) {
		lines = append(lines, line{{fmt.Sprintf("  %-12s", keys), bold}, {words, plain}})
	}
	row("0 1 2 …", "one step of that participant, which is marked then")
	for _, k := range commands {
		row(strings.Join(k.keys, ", "), k.words)
	}
	return append(lines, line{}, of("any key: back to the program"))
}

// wrap breaks a text between words into at most so many rows; what does not fit the
// last is cut off where it is drawn. A word that is wider than a row is broken.
func wrap(text string, width, rows int) []string {
	if width <= 0 || rows <= 0 {
		return nil
	}
	lines := strings.Split(ansi.Wrap(text, width, " "), "\n")
	if len(lines) > rows {
		last := strings.Join(lines[rows-1:], " ")
		lines = append(lines[:rows-1:rows-1], ansi.Truncate(last, width, "…"))
	}
	return lines
}
