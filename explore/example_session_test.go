package explore_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// Hall is a struct of one's own: the seats of a cinema, and who sells them.
type Hall struct {
	Mutex sync.Mutex
	Free  shm.Cell[int64]
	Sold  shm.Cell[int64]
}

// sell looks first and locks again to sell: another counter can come between.
func (h *Hall) sell() {
	h.Mutex.Lock()
	free := h.Free.Get()
	h.Mutex.Unlock()
	if free > 0 {
		h.Mutex.Lock()
		h.Free.Set(h.Free.Get() - 1)
		h.Sold.Set(h.Sold.Get() + 1)
		h.Mutex.Unlock()
	}
}

var cinema = explore.Register(explore.New("cinema", explore.Spec[Hall]{
	Init: func(h *Hall) { h.Free.Set(1) },
	Roles: []explore.Role[Hall]{
		{Name: "till", Run: func(p *explore.P, h *Hall) { h.sell() }},
		{Name: "phone", Run: func(p *explore.P, h *Hall) { h.sell() }},
	},
	Always: func(h *Hall) error {
		if free := h.Free.Get(); free < 0 {
			return fmt.Errorf("%d seats are left", free)
		}
		return nil
	},
}))

// In a test of one's own the steps are in the order that the test says, in memory
// as here, or with Options{Processes: true} between processes.
func TestTheLastSeatIsSoldTwice(t *testing.T) {
	s := explore.Step(t, cinema, explore.Options{})
	s.Next("till")
	require.Equal(t, "P0", s.Value("Mutex"))
	require.Equal(t, []int{0}, s.Enabled(), "the phone waits for the mutex")

	s.RunTo("till", "unlock Mutex")
	s.Next("till")
	s.RunToEnd("phone")
	require.Equal(t, "0", s.Value("Free"))

	s.RunTo("till", "set Free")
	s.Next("till")
	require.Equal(t, explore.Violated, s.Result().Verdict)
	require.Equal(t, "-1 seats are left", s.Result().Finding)

	s.Back(2) // the till has not looked again yet
	require.Equal(t, "get Free = 0", s.Participants()[0].Next.String())
}

// A session outside of a test is told what to do in the same way, and closed.
func ExampleNewSession() {
	s, err := explore.NewSession(cinema, explore.Options{Processes: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	fmt.Println(s.Next("till"), s.Value("Mutex"), s.Enabled())
	fmt.Println(s.Next("phone"))
	fmt.Println(s.RunTo("till", "Free"), s.Participants()[0].Next)
	fmt.Println(s.Kill("till"), s.Result().Summary())
	fmt.Println(s.Schedule())
	// Output:
	// <nil> P0 [0]
	// explore: a step of P1 cannot be chosen: P1 waits for Mutex, held by P0
	// <nil> get Free = 1
	// <nil> Deadlock: P0 died holding Mutex; P1 waits for Mutex, held by P0, which died; nobody is left to release them
	// il1c-79eed5-0.k0
}
