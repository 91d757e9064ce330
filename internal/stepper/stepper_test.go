package stepper

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/interlock-go/interlock/explore"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/interlock-go/interlock/internal/proc.spawn"),
		goleak.IgnoreAnyFunction("github.com/interlock-go/interlock/internal/robust.keep"))
}

// open steps a program in memory. The session is closed at the test's end.
func open(t *testing.T, prog *explore.Program) *Stepper {
	t.Helper()
	session, err := explore.NewSession(prog, explore.Options{})
	require.NoError(t, err)
	t.Cleanup(session.Close)
	return New(session, Options{Title: prog.Name, Where: "in memory", Seed: 1,
		Source: func(position string) string { return "text of " + position },
		Replay: func(s explore.Schedule) string { return "replay " + s.String() },
		Write:  func(s explore.Schedule) (string, error) { return "written: " + s.String(), nil },
	})
}

// press plays a script.
func press(t *testing.T, s *Stepper, script string) {
	t.Helper()
	keys, err := Keys(script)
	require.NoError(t, err)
	require.False(t, s.Play(keys))
}

// choices is the schedule without its mark.
func (s *Stepper) choices() string {
	text := s.session.Schedule().String()
	return text[strings.LastIndex(text, "-")+1:]
}

func TestScreens(t *testing.T) {
	for _, c := range []struct {
		name          string
		prog          *explore.Program
		keys          string
		width, height int
	}{
		{"beginning", doors, "", 80, 24},
		{"deadlock", doors, "0 1", 80, 24},
		{"deadlock-small", doors, "0 1", 40, 12},
		{"refused", doors, "0 /Coins r b 1 1", 80, 24},
		{"holds", doors, "r right r", 80, 24},
		{"dead", bells, "0 k", 80, 24},
		{"asleep", bells, "r 1 r 2 right", 80, 24},
		{"many-fields", shelves, "r", 60, 16},
		{"crowd", crowd, "12", 80, 24},
		{"help", doors, "?", 80, 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, c.prog)
			press(t, s, c.keys)
			got, file := s.Screen(c.width, c.height), "testdata/"+c.name+".txt"
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

// Whatever is shown fits the window, says the same without styles, and has the keys
// at its end.
func TestAScreenFitsEveryWindow(t *testing.T) {
	for _, prog := range []*explore.Program{doors, bells, shelves, crowd} {
		for _, keys := range []string{"", "0 1", "r", "0 k", "P", "0 /Co", "9 9"} {
			s := open(t, prog)
			typed, err := Keys(keys)
			require.NoError(t, err)
			if strings.HasSuffix(keys, "/Co") {
				typed = typed[:len(typed)-1] // and no enter
			}
			s.Play(typed)
			for width := 1; width < 100; width += 7 {
				for height := 1; height < 40; height++ {
					lines := s.scene.draw(width, height)
					require.LessOrEqual(t, len(lines), height, "%s %q %d×%d", prog.Name, keys, width, height)
					for _, l := range lines {
						styled := l.styled(width)
						require.LessOrEqual(t, ansi.StringWidth(styled), width)
						require.Equal(t, strings.TrimRight(ansi.Truncate(l.text(), width, "…"), " "), strings.TrimRight(ansi.Strip(styled), " "))
					}
					require.Equal(t, s.scene.keys(), lines[len(lines)-1].text())
				}
			}
			for _, l := range s.scene.drawHelp() {
				require.LessOrEqual(t, ansi.StringWidth(l.text()), 80)
			}
			s.session.Close()
		}
	}
}

var crowd = program("crowd", repeat(30, role{Name: "a rather long name", Run: enter})...)

func repeat(n int, r role) (roles []role) {
	for range n {
		roles = append(roles, r)
	}
	return roles
}

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		prog    *explore.Program
		keys    string
		choices string
		message string
	}{
		{doors, "0 0", "0x2", ""},
		{doors, "right enter", "1", ""},
		{doors, "left enter left enter", "1.0", ""},
		{doors, "0 1 b", "0", ""},
		{doors, "0 0 0 B", "", ""},
		{doors, "b", "", "this is the beginning"},
		{doors, "r", "0x6", ""},
		{doors, "/Coins", "0x2", ""},
		{doors, "/unlock~Door", "0x5", ""},
		{doors, "/Shelf", "0x6", `P0 has not come to "Shelf": P0 has ended`},
		{doors, "1 0 0", "1.0", "it is over; b goes back"},
		{doors, "7", "", "there is no P7"},
		{doors, "0 0 0 1", "0x3", "P1 waits for Till, held by P0"},
		{doors, "s", "", "P0 does not sleep"},
		{doors, "t", "", "P0 waits for nothing that a context could end"},
		{doors, "v", "", "the last step had nothing to choose from"},
		{doors, "0 w", "0", "written: il1c-"},
		{doors, "0 k", "0.k0", ""},
		{doors, "? 0 0", "0", ""}, // any key leaves the help
		{bells, "0 0 s", "0x2.s0", ""},
		{bells, "0 0 t", "0x2.t0", ""},
		{bells, "0 0 1 1 2", "0x2.1x2.2v0", ""},
		{bells, "0 0 1 1 2 v", "0x2.1x2.2v1", ""},
		{bells, "0 0 1 1 2 v v", "0x2.1x2.2v0", ""},
		{shelves, "0 v v 0", "0v2.0", ""},
	} {
		t.Run(c.prog.Name+" "+c.keys, func(t *testing.T) {
			s := open(t, c.prog)
			press(t, s, c.keys)
			require.Equal(t, c.choices, s.choices())
			require.Equal(t, c.message, s.message[:min(len(s.message), max(len(c.message), 1))], s.message)
		})
	}
}

func TestRandomKeys(t *testing.T) {
	s := open(t, shelves)
	press(t, s, "p p")
	require.Equal(t, 2, s.session.Steps())
	ways := map[string]bool{}
	for range 5 {
		press(t, s, "P")
		require.True(t, s.scene.over)
		ways[s.choices()] = true
		press(t, s, "B")
	}
	require.Len(t, ways, 5, "every time another way")
}

func TestAScriptIsRead(t *testing.T) {
	for script, want := range map[string]string{
		"":                   "",
		" 0  12 r\n? ":       "0,12,r,?",
		"/lock~A q":          "/,l,o,c,k, ,A,enter,q",
		"enter left right b": "enter,left,right,b",
	} {
		keys, err := Keys(script)
		require.NoError(t, err)
		require.Equal(t, want, strings.Join(keys, ","))
	}
	for _, wrong := range []string{"0 x", "/", "rr", "esc"} {
		_, err := Keys(wrong)
		require.ErrorContains(t, err, "no such key: ", wrong)
	}
}

func TestWhatIsTyped(t *testing.T) {
	s := open(t, doors)
	for _, key := range []string{"/", "T", "i", "x", "backspace", "l", "l", "left"} {
		s.Press(key)
	}
	require.Equal(t, "Till", s.typed)
	require.Contains(t, s.Screen(80, 24), "P0 to (an operation, a field, a line): Till_\nenter: go  esc: not\n")
	s.Press("enter")
	require.Equal(t, "0", s.choices())
	for _, key := range []string{"/", "q", "esc", "/", "enter", "/", "space", "esc", "b"} {
		require.False(t, s.Press(key), "q is a letter there")
	}
	require.Empty(t, s.choices())
}

func TestATerminalOfLines(t *testing.T) {
	s := open(t, doors)
	var out strings.Builder
	require.NoError(t, s.Lines(strings.NewReader("0 1\nx\nb q 0\n0\n"), &out))
	screens := strings.Split(out.String(), "> doors")
	require.Len(t, screens, 3)
	require.Contains(t, screens[1], "You broke it. Deadlock: P0 holds Door")
	require.Contains(t, screens[2], `no such key: "x"`)
	require.Equal(t, "0", s.choices(), "nothing after q")
	require.NoError(t, s.Lines(strings.NewReader("b"), &out), "the end of the input is one")
	require.Empty(t, s.choices())
	require.Error(t, s.Lines(strings.NewReader(""), full{}))
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }

// Keys that come while a step is being made are done after it, one by one.
func TestATerminalDoesOneKeyAfterTheOther(t *testing.T) {
	s := open(t, doors)
	m := &terminal{s: s, scene: s.scene, width: 80, height: 24}
	_, first := m.Update(tea.KeyPressMsg{Code: '0', Text: "0"})
	_, second := m.Update(tea.KeyPressMsg{Code: '1', Text: "1"})
	_, third := m.Update(tea.KeyPressMsg{Code: 'q', Text: "q"})
	require.NotNil(t, first)
	require.Nil(t, second)
	require.Nil(t, third)
	require.Contains(t, m.View().Content, "step 0", "what is shown is a copy")

	done := first()
	require.Contains(t, m.View().Content, "step 0", "until the step is done")
	_, second = m.Update(done)
	require.Contains(t, m.View().Content, "step 1")
	_, third = m.Update(second())
	require.Contains(t, ansi.Strip(m.View().Content), "You broke it. Deadlock")
	_, quit := m.Update(third())
	require.IsType(t, tea.QuitMsg{}, quit())

	m.Update(tea.WindowSizeMsg{Width: 30, Height: 9})
	require.Len(t, strings.Split(m.View().Content, "\n"), 9)
	require.True(t, m.View().AltScreen)
	_, quit = m.Update(tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl})
	require.IsType(t, tea.QuitMsg{}, quit())
	require.True(t, m.interrupted)
}

func TestAStepperThatIsLeftDoesNothing(t *testing.T) {
	s := open(t, doors)
	s.Wait()
	require.True(t, s.Press("0"))
	require.Empty(t, s.choices())
}

func TestWhatTheLastMoveChanged(t *testing.T) {
	s := open(t, doors)
	changed := func() string {
		var all []string
		fields, _ := s.Shared()
		for _, f := range fields {
			if f.Changed {
				all = append(all, fmt.Sprint(f.Path, "=", f.Value))
			}
		}
		return strings.Join(all, " ")
	}
	require.Empty(t, changed())
	press(t, s, "0")
	require.Equal(t, "Door=P0", changed())
	press(t, s, "right left")
	require.Equal(t, "Door=P0", changed(), "a mark is no move")
	press(t, s, "0 0")
	require.Empty(t, changed(), "a get changes nothing")
	press(t, s, "0")
	require.Equal(t, "Coins=1", changed())
	press(t, s, "b")
	require.Equal(t, "Coins=0", changed())
	press(t, s, "B /Coins")
	require.Equal(t, "Door=P0 Till=P0", changed())
	press(t, s, "B /Shelf")
	require.Equal(t, "Coins=1", changed(), "also where it has ended elsewhere")
}
