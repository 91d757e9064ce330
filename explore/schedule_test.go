package explore

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestScheduleText(t *testing.T) {
	for _, c := range []struct {
		schedule Schedule
		text     string
	}{
		{Schedule{}, ""},
		{Schedule{Program: "5f0a93"}, "il1c-5f0a93-"},
		{Schedule{Program: "5f0a93", Fine: true, Choices: []Choice{{Run, 0}}}, "il1f-5f0a93-0"},
		{Schedule{Program: "5f0a93", Choices: []Choice{
			{Run, 0}, {Run, 0}, {Run, 0}, {Run, 1}, {Run, 2}, {Run, 2}, {Run, 2}, {Run, 2}, {Pick, 1}, {Kill, 0}, {Spurious, 2}}},
			"il1c-5f0a93-0x3.1.2x4v1.k0.s2"},
		{Schedule{Program: "000000", Choices: []Choice{
			{Run, 127}, {Pick, 0}, {Pick, 65535}, {Run, 127}, {Pick, 0}, {Kill, 1}, {Kill, 1}, {Pick, 3}}},
			"il1c-000000-127v0v65535.127v0.k1.k1v3"},
	} {
		require.Equal(t, c.text, c.schedule.String())
		if c.text == "" {
			continue
		}
		got, err := ParseSchedule(c.text)
		require.NoError(t, err)
		require.Equal(t, c.schedule, got)
	}
}

func TestScheduleOfAnyChoicesSurvivesItsText(t *testing.T) {
	choice := rapid.Custom(func(t *rapid.T) Choice {
		kind := rapid.SampledFrom([]ChoiceKind{Run, Run, Run, Spurious, Kill, Pick}).Draw(t, "kind")
		if kind == Pick {
			return Choice{kind, rapid.IntRange(0, 65535).Draw(t, "value")}
		}
		return Choice{kind, rapid.IntRange(0, MaxParticipants-1).Draw(t, "participant")}
	})
	rapid.Check(t, func(t *rapid.T) {
		s := Schedule{Fine: rapid.Bool().Draw(t, "fine"), Program: rapid.StringMatching("[0-9a-f]{6}").Draw(t, "mark")}
		for _, c := range rapid.SliceOf(choice).Draw(t, "choices") {
			if len(s.Choices) == 0 && c.Kind == Pick {
				continue // a value is chosen within a step
			}
			for range rapid.IntRange(1, 4).Draw(t, "times") {
				s.Choices = append(s.Choices, c)
			}
		}
		text := s.String()
		require.NotContains(t, text, " ")
		got, err := ParseSchedule(text)
		require.NoError(t, err, text)
		require.Equal(t, s, got)
	})
}

// A text is not always the shortest: it is read, and written as the shortest.
func TestOtherTextsOfASchedule(t *testing.T) {
	for text, canonical := range map[string]string{
		"il1c-5f0a93-0.0.0":       "il1c-5f0a93-0x3",
		"il1c-5f0a93-0x2.0x3":     "il1c-5f0a93-0x5",
		"il1c-5f0a93-0.v1":        "il1c-5f0a93-0v1",
		"il1c-5f0a93-0x2v1.0.0v1": "il1c-5f0a93-0x2v1.0x2v1",
	} {
		s, err := ParseSchedule(text)
		require.NoError(t, err)
		require.Equal(t, canonical, s.String())
	}
}

func TestGarbledSchedules(t *testing.T) {
	for _, c := range []struct{ text, err string }{
		{"", "position 1: expected il1c- or il1f-"},
		{"0.1.2", "position 1: expected il1c- or il1f-"},
		{" il1c-5f0a93-0", "position 1: expected il1c- or il1f-"},
		{"IL1c-5f0a93-0", "position 1: expected il1c- or il1f-"},
		{"il2c-5f0a93-0", `position 3: version "2c", this is version 1`},
		{"il", `position 3: version "", this is version 1`},
		{"il1", "position 4: expected the granularity, c- or f-"},
		{"il1x-5f0a93-0", "position 4: expected the granularity, c- or f-"},
		{"il1c5f0a93-0", "position 4: expected the granularity, c- or f-"},
		{"il1c-", "position 6: expected the program's mark, 6 hexadecimal digits"},
		{"il1c-5f0a9", "position 11: expected the program's mark, 6 hexadecimal digits"},
		{"il1c-5f0a9-0", "position 11: expected the program's mark, 6 hexadecimal digits"},
		{"il1c-5F0A93-0", "position 7: expected the program's mark, 6 hexadecimal digits"},
		{"il1c-5f0a93", "position 12: expected - after the program's mark"},
		{"il1c-5f0a930-0", "position 12: expected - after the program's mark"},
		{"il1c-5f0a93-v1", "position 13: a value before the first step"},
		{"il1c-5f0a93-.0", "position 13: expected a number"},
		{"il1c-5f0a93-0.", "position 15: expected a number"},
		{"il1c-5f0a93-0..1", "position 15: expected a number"},
		{"il1c-5f0a93-0,1", "position 14: expected . before the next choice"},
		{"il1c-5f0a93-0 ", "position 14: expected . before the next choice"},
		{"il1c-5f0a93-0\n", "position 14: expected . before the next choice"},
		{"il1c-5f0a93-01", "position 13: a number with a leading zero"},
		{"il1c-5f0a93-x3", "position 13: expected a number"},
		{"il1c-5f0a93-0x", "position 15: expected a number"},
		{"il1c-5f0a93-0x1", "position 15: 1 is not between 2 and 1048576"},
		{"il1c-5f0a93-0x0", "position 15: 0 is not between 2 and 1048576"},
		{"il1c-5f0a93-0x03", "position 15: a number with a leading zero"},
		{"il1c-5f0a93-k", "position 14: expected a number"},
		{"il1c-5f0a93-k0x2", "position 15: expected . before the next choice"},
		{"il1c-5f0a93-q0", "position 13: expected a number"},
		{"il1c-5f0a93--1", "position 13: expected a number"},
		{"il1c-5f0a93-128", "position 13: 128 is not between 0 and 127"},
		{"il1c-5f0a93-k128", "position 14: 128 is not between 0 and 127"},
		{"il1c-5f0a93-123456789", "position 13: 123456789 is not between 0 and 127"},
		{"il1c-5f0a93-0v123456789", "position 15: 123456789 is not between 0 and 65535"},
		{"il1c-5f0a93-0x1048577", "position 15: 1048577 is not between 2 and 1048576"},
		{"il1c-5f0a93-0x1048576.1", "position 24: more than 1048576 choices"},
		{"il1c-5f0a93-0x99999999", "position 15: 99999999 is not between 2 and 1048576"},
		{"il1c-5f0a93-0x١", "position 15: expected a number"},
	} {
		s, err := ParseSchedule(c.text)
		require.EqualError(t, err, "schedule: "+c.err, c.text)
		require.Zero(t, s)
	}
}

// A schedule comes out of somebody's mail: whatever it is, reading it ends, in
// bounded memory, and what is accepted is a schedule.
func FuzzParseSchedule(f *testing.F) {
	for _, text := range []string{
		"", "il1c-5f0a93-", "il1f-5f0a93-0x3.1.2x4v1.k0.s2", "il1c-000000-127v0v99999999.k1v3",
		"il1c-5f0a93-0.0.0", "il2c-5f0a93-0", "il1c-5f0a93-0x1048577", "il1c-5f0a93-01", "il1c-5f0a93-0x",
		"il1c-5f0a93-" + strings.Repeat("0x99999999.", 20),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchedule(text)
		if err != nil {
			require.Zero(t, s)
			require.Regexp(t, `^schedule: position [0-9]+: `, err.Error())
			return
		}
		require.LessOrEqual(t, len(s.Choices), maxChoices)
		canonical := s.String()
		require.LessOrEqual(t, len(canonical), len(text))
		again, err := ParseSchedule(canonical)
		require.NoError(t, err, canonical)
		require.Equal(t, s, again)
		require.Equal(t, canonical, again.String())
	})
}
