package stepper

import (
	"context"
	"errors"
	"io"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// ErrInterrupted says that somebody has pressed Ctrl-C.
var ErrInterrupted = errors.New("interrupted")

// Terminal draws a terminal all over and takes its keys until somebody quits, or the
// context ends. The terminal is as before when it returns, which may be while
// participants still go on: [Stepper.Wait].
func (s *Stepper) Terminal(ctx context.Context, in io.Reader, out io.Writer) error {
	m := &terminal{s: s, scene: s.scene, width: 80, height: 24}
	_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler()).Run()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case m.interrupted:
		return ErrInterrupted
	}
	return nil
}

// Wait returns when no participant goes on any more, and none will.
func (s *Stepper) Wait() {
	s.going.Lock()
	defer s.going.Unlock()
	s.left = true
}

// terminal is the state of the screen. A step is made beside it, so that a role
// that goes on for ever can be interrupted; the stepper is the step's meanwhile,
// and what is shown is a copy.
type terminal struct {
	s             *Stepper
	scene         scene
	width, height int
	busy          bool
	typed         []string // keys that are to be done yet
	interrupted   bool
}

// pressed says that a key has been done.
type pressed struct {
	scene scene
	quit  bool
}

func (m *terminal) Init() tea.Cmd { return nil }

func (m *terminal) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		switch key := msg.String(); key {
		case "ctrl+c":
			m.interrupted = true
			return m, tea.Quit
		case "ctrl+z":
			return m, tea.Suspend
		default:
			m.typed = append(m.typed, key)
		}
	case pressed:
		m.busy, m.scene = false, msg.scene
		if msg.quit {
			return m, tea.Quit
		}
	}
	return m, m.next()
}

// next does the next key, if the one before is done.
func (m *terminal) next() tea.Cmd {
	if m.busy || len(m.typed) == 0 {
		return nil
	}
	key := m.typed[0]
	m.typed, m.busy = m.typed[1:], true
	return func() tea.Msg {
		quit := m.s.Press(key)
		return pressed{m.s.scene, quit}
	}
}

func (m *terminal) View() tea.View {
	var rows []string
	for _, l := range m.scene.draw(m.width, m.height) {
		rows = append(rows, l.styled(m.width))
	}
	v := tea.NewView(strings.Join(rows[:min(len(rows), m.height)], "\n"))
	v.AltScreen = true
	return v
}
