package robust

import (
	gosync "sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// One place is had by one process after the other, and each dies; several others
// see it, and are as slow as they like. The kernel's part is done by hand.
func TestEveryDeathIsAnnouncedOnce(t *testing.T) {
	const lives, others, process = 20_000, 3, 7
	table := new(Table)
	place := &table.Members[5]
	over := make(chan struct{})
	var all gosync.WaitGroup
	for range others {
		all.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					table.died()
				}
			}
		})
	}
	for life := range uint32(lives) {
		was := place.Life.Word.Swap(process) // joins, as Join does
		require.Equal(t, life > 0, was == OwnerDied)
		if was == OwnerDied {
			table.announce(place, true)
		}
		place.Lives.Add(1)
		for range 20 {
			require.True(t, place.Alive(), "life %d: a live member is taken for a dead one", life)
		}
		place.Life.Word.Store(OwnerDied)
		if life%2 == 0 {
			require.Equal(t, life+1, table.died(), "somebody has to have announced it")
		}
	}
	close(over)
	all.Wait()
	require.Equal(t, uint32(lives), table.died())
	require.Equal(t, uint32(lives), table.Deaths.Peek())
}

// Who takes the place of a dead one and dies before it has joined was never alive.
func TestAPlaceIsADeadOnesUntilTheNextHasJoined(t *testing.T) {
	table := new(Table)
	place := &table.Members[0]
	place.Life.Word.Store(7)
	place.Lives.Add(1)
	require.True(t, place.Alive())
	place.Life.Word.Store(OwnerDied)
	require.False(t, place.Alive())
	table.announce(place, false)

	place.Life.Word.Store(8)
	table.announce(place, true)
	require.False(t, place.Alive())
	place.Life.Word.Store(OwnerDied)
	require.Equal(t, uint32(1), table.died())
	require.Equal(t, uint32(1), table.Deaths.Peek())
}
