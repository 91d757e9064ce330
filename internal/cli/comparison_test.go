package cli

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/problems/all"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/interlock-go/interlock/internal/proc.spawn"),
		goleak.IgnoreAnyFunction("github.com/interlock-go/interlock/internal/robust.keep"))
}

func runsOf(verdicts ...explore.Verdict) side {
	var s side
	for _, v := range verdicts {
		s.runs = append(s.runs, report{Verdict: v})
	}
	return s
}

func TestTheWorstRunIsTheOneThatFailed(t *testing.T) {
	for _, c := range []struct {
		runs  []explore.Verdict
		worst explore.Verdict
		text  string
	}{
		{[]explore.Verdict{explore.Holds, explore.Holds}, explore.Holds, "2 × Holds"},
		{[]explore.Verdict{explore.Holds, explore.Unknown}, explore.Unknown, "1 × Holds, 1 × Unknown"},
		{[]explore.Verdict{explore.Unknown, explore.Holds, explore.Deadlock}, explore.Deadlock, "1 × Holds, 1 × Deadlock, 1 × Unknown"},
		{[]explore.Verdict{explore.Unknown, explore.Livelock, explore.Race}, explore.Livelock, "1 × Livelock, 1 × Race, 1 × Unknown"},
	} {
		s := runsOf(c.runs...)
		require.Equal(t, c.worst, s.worst().Verdict)
		require.Equal(t, c.text, s.verdicts())
	}
}

func TestOnlyWhatIsNearIsSuggested(t *testing.T) {
	names := []string{"counter", "bounded-buffer", "dining"}
	for name, want := range map[string]string{
		"dinning": "dining", "Dining": "dining", "bounded": "bounded-buffer", "countr": "counter", "boundedbuffer": "bounded-buffer",
		"xyz": "", "": "", "philosophers": "", "cnt": "",
	} {
		require.Equal(t, want, nearest(name, names), name)
	}
}

func TestOneIsNoPlural(t *testing.T) {
	require.Equal(t, []string{"0 runs", "1 run", "1,734 runs"}, []string{many(0, "run"), many(1, "run"), many(1734, "run")})
}

// A parameter that several problems have needs words that are nobody's own.
func TestSharedParametersHaveNeutralWords(t *testing.T) {
	problems := map[string]int{}
	for _, p := range all.Catalogue {
		for _, q := range p.Parameters {
			if problems[q.Name]++; problems[q.Name] > 1 {
				require.NotEmpty(t, strings.TrimSpace(shared[q.Name]), q.Name)
			}
		}
	}
}

func TestNothingFoundHasNoLineToPaste(t *testing.T) {
	c := comparison{sides: [2]side{{search: &explore.Result{}}}}
	require.Empty(t, c.replayLine())
}
