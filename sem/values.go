package sem

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/sysv"
)

// Value is a semaphore's value at some moment during the call.
func (s *Set) Value(index int) (int, error) {
	return s.ask("value of", sysv.SemValue, index)
}

// Values are all values at one moment during the call.
func (s *Set) Values() ([]int, error) {
	controlled()
	raw := make([]uint16, s.n)
	if err := sysv.SemValues(s.id, raw); err != nil {
		return nil, s.fault("values of", err)
	}
	values := make([]int, len(raw))
	for i, v := range raw {
		values[i] = int(v)
	}
	return values, nil
}

// SetValue sets a semaphore's value, wakes who can go on with it, and makes the kernel
// forget what any process would undo on it.
func (s *Set) SetValue(index, value int) error {
	controlled()
	err := s.check(index)
	if err == nil {
		_, err = checkValues([]int{value})
	}
	if err == nil {
		err = sysv.SemSetValue(s.id, index, value)
	}
	return s.fault("set value of", err)
}

// SetValues is [Set.SetValue] of all semaphores at one moment.
func (s *Set) SetValues(values ...int) error {
	controlled()
	raw, err := checkValues(values)
	if err == nil && len(values) != s.n {
		err = sysv.NewFault(fmt.Sprintf("%d values for %d semaphores", len(values), s.n), unix.EINVAL)
	}
	if err == nil {
		err = sysv.SemSetValues(s.id, raw)
	}
	return s.fault("set values of", err)
}

// Waiting counts the threads of all processes that wait for a semaphore's value to grow.
func (s *Set) Waiting(index int) (int, error) {
	return s.ask("waiters of", sysv.SemWaiting, index)
}

// WaitingForZero counts the threads of all processes that wait for a semaphore to be 0.
func (s *Set) WaitingForZero(index int) (int, error) {
	return s.ask("waiters of", sysv.SemWaitingForZero, index)
}

// LastProcess is the process that last operated on a semaphore or set it, 0 if
// it belongs to another pid namespace. It may have died.
func (s *Set) LastProcess(index int) (int, error) {
	return s.ask("last process of", sysv.SemPID, index)
}

func (s *Set) ask(op string, ask func(id, index int) (int, error), index int) (int, error) {
	controlled()
	if err := s.check(index); err != nil {
		return 0, s.fault(op, err)
	}
	answer, err := ask(s.id, index)
	if err != nil {
		return 0, s.fault(op, err)
	}
	return answer, nil
}

func checkValues(values []int) ([]uint16, error) {
	raw := make([]uint16, len(values))
	for i, v := range values {
		if v < 0 || v > MaxValue {
			return nil, sysv.NewFault(fmt.Sprintf("value %d: 0 to %d", v, MaxValue), unix.ERANGE)
		}
		raw[i] = uint16(v)
	}
	return raw, nil
}
