package explore

import "testing"

var ticks = Register(New("ticks", Spec[pair]{Roles: repeat(3, func(p *P, s *pair) {
	for range 1000 {
		s.A.Lock()
		s.A.Unlock()
	}
})}))

type roundRobin struct{}

func (roundRobin) begin() bool { return true }
func (roundRobin) end()        {}
func (roundRobin) choose(pt *Point) int {
	for i, c := range pt.Alternatives {
		if c.N > pt.Last {
			return i
		}
	}
	return 0
}

func BenchmarkSwitch(b *testing.B) {
	x, err := newProcesses(ticks, Options{NoRaces: true}.withDefaults(), false)
	if err != nil {
		b.Fatal(err)
	}
	defer x.close()
	b.ReportAllocs()
	n := 0
	b.ResetTimer()
	for n < b.N {
		x.execute(roundRobin{})
		n += x.e.steps
	}
}
