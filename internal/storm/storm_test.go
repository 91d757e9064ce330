package storm

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
)

func TestAStormIsSurvived(t *testing.T) {
	for _, n := range []int{2, 5} {
		r, err := Run(t.Context(), Options{Participants: n, Kills: 100, Seed: uint64(n)})
		require.NoError(t, err)
		require.Equal(t, explore.Holds, r.Verdict, "%s\n%s", r.Finding, strings.Join(r.State, "\n"))
		require.GreaterOrEqual(t, r.Kills, 100)
		require.NotZero(t, r.Parks)
		require.NotZero(t, r.Deaths["owner_died"])
	}
}

func TestAStormEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Run(ctx, Options{Participants: 3, Progress: func(int) { cancel() }})
	require.ErrorIs(t, err, context.Canceled)
}

// A storm that finds nothing is worth something only if it would have found it.
func TestAStormFindsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		finding string
		wrong   func(w *world)
	}{
		{"is half-written", func(w *world) { w.Account.Left.Set(1) }},
		{"permits", func(w *world) { w.Permits.Wait() }},
		{"is made again", func(w *world) { w.Finished[0].Store(1) }},
		{"is inside, and no death was reported", func(w *world) { w.Shelf.Owner.Set(uint64(nameOf(1, 1))) }},
	} {
		t.Run(c.finding, func(t *testing.T) {
			spoilt := false
			spoil = func(w *world) {
				if !spoilt {
					c.wrong(w)
				}
				spoilt = true
			}
			defer func() { spoil = nil }()
			r, err := Run(t.Context(), Options{Participants: 6, Kills: 200, Seed: 1})
			require.NoError(t, err)
			require.Equal(t, explore.Violated, r.Verdict)
			require.Contains(t, r.Finding, c.finding)
			require.NotEmpty(t, r.State)
		})
	}
}
