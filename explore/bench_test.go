package explore

import (
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
	"testing"
)

func BenchmarkRandom(b *testing.B) {
	type locked struct {
		M sync.Mutex
		X shm.Cell[int64]
	}
	prog := New("locks", Spec[locked]{Roles: repeat(3, func(p *P, l *locked) {
		for range 3 {
			l.M.Lock()
			l.X.Set(l.X.Get() + 1)
			l.M.Unlock()
		}
	})})
	m, err := newMemory(prog, Options{}.withDefaults())
	if err != nil {
		b.Fatal(err)
	}
	defer m.close()
	w := newRandomWalk(1)
	b.ReportAllocs()
	steps := 0
	for steps < b.N {
		w.begin()
		m.execute(w)
		steps += m.e.steps
	}
}
func BenchmarkDFS(b *testing.B) {
	type locked struct {
		M sync.Mutex
		X shm.Cell[int64]
	}
	prog := New("locks", Spec[locked]{Roles: repeat(3, func(p *P, l *locked) {
		for range 3 {
			l.M.Lock()
			l.X.Set(l.X.Get() + 1)
			l.M.Unlock()
		}
	})})
	m, err := newMemory(prog, Options{}.withDefaults())
	if err != nil {
		b.Fatal(err)
	}
	defer m.close()
	w := &depthFirst{}
	b.ReportAllocs()
	steps := 0
	for steps < b.N {
		if !w.begin() {
			w = &depthFirst{}
			w.begin()
		}
		m.execute(w)
		w.end()
		steps += m.e.steps
	}
}
