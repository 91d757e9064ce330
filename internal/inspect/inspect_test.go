package inspect_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/childtest"
	"github.com/interlock-go/interlock/internal/inspect"
	"github.com/interlock-go/interlock/internal/robust"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
)

func TestHolderAndWaiterAreNamed(t *testing.T) {
	for _, c := range []struct{ path, hold, wait, state string }{
		{"Pen[1]", "lock Pen[1]", "lock Pen[1]", "process %d"},
		{"Book", "lock Book", "lock Book", "process %d"},
		{"Bolt", "lock Bolt", "lock Bolt", "process %d"},
		{"Lamp", "write Lamp", "write Lamp", "process %d writes"},
		{"Lamp", "write Lamp", "read Lamp", "process %d writes"},
		{"Lamp", "read Lamp", "write Lamp", "1 reader"},
		{"Opening", "begin Opening", "begin Opening", "process %d inside"},
		{"Chair", "take Chair", "take Chair", "0 process %d"},
	} {
		t.Run(c.hold+", "+c.wait, func(t *testing.T) {
			name := "interlock-inspect-" + fmt.Sprint(os.Getpid())
			t.Cleanup(func() { _ = os.Remove("/dev/shm/" + name) })
			a := newChild(t, "create "+name, c.hold)
			b := newChild(t, "open "+name)
			b.begin(c.wait)

			g := awaitWaiters(t, name, c.path, 1)
			o := object(t, g, c.path)
			require.Equal(t, []int{a.pid()}, holders(o))
			require.Equal(t, inspect.Running, o.Holders[0].State)
			state := c.state
			if state != "1 reader" {
				state = fmt.Sprintf(state, a.pid())
			}
			require.Equal(t, state, o.State)
			require.Equal(t, b.pid(), o.Waiters[0].PID)
			require.Equal(t, inspect.Running, o.Waiters[0].State)
			if o.Waiters[0].Asleep != nil {
				require.Less(t, *o.Waiters[0].Asleep, 60.0)
			}
			require.Empty(t, g.Cycles)
			require.Equal(t, &inspect.Creator{PID: a.pid(), Running: true}, g.Creator)
			require.False(t, g.Stale)
			for i, p := range g.Processes {
				require.Contains(t, []int{a.pid(), b.pid()}, p.PID)
				require.True(t, *p.Mapped)
				require.Len(t, g.Processes[i].Members, 1)
			}
			require.Len(t, g.Processes, 2)
		})
	}
}

// A thread of C's locks by its own id, which is no process's.
func TestAThreadThatHoldsAPthreadMutexIsNamed(t *testing.T) {
	name := newName(t)
	a := newChild(t, "create "+name, "bolt as C")
	o := object(t, examined(t, name), "Bolt")
	require.Len(t, o.Holders, 1)
	require.NotEqual(t, a.pid(), o.Holders[0].Thread)
	require.Equal(t, inspect.Holder{PID: a.pid(), Thread: o.Holders[0].Thread, State: inspect.Running}, o.Holders[0])
	require.Equal(t, fmt.Sprintf("process %d", a.pid()), o.State)
}

// Two wait for what has no owner, and what lies in cells is shown.
func TestWaitersWithoutAHolder(t *testing.T) {
	name := newName(t)
	a := newChild(t, "create "+name, "ring Bell")
	b := newChild(t, "open "+name)
	a.begin("wait Visitors")
	b.begin("wait Bell")
	awaitWaiters(t, name, "Visitors", 1)
	g := awaitWaiters(t, name, "Bell", 1)
	require.Equal(t, a.pid(), object(t, g, "Visitors").Waiters[0].PID)
	require.Equal(t, b.pid(), object(t, g, "Bell").Waiters[0].PID)
	require.Equal(t, "1 waiting", object(t, g, "Bell").State)
	require.Equal(t, "1", object(t, g, "Rings").State)
	require.Equal(t, "free", object(t, g, "Pen[0]").State)
	require.Equal(t, 68, g.Omitted, "of the shelf's 100")
}

func TestReadersAreNamed(t *testing.T) {
	name := newName(t)
	a := newChild(t, "create "+name, "read Lamp")
	b := newChild(t, "open "+name, "read Lamp")
	c := newChild(t, "open "+name)
	c.begin("write Lamp")
	o := object(t, awaitWaiters(t, name, "Lamp", 1), "Lamp")
	require.ElementsMatch(t, []int{a.pid(), b.pid()}, holders(o), "not the writer, which has the turn")
	require.Equal(t, "2 readers", o.State)
}

func TestACycleIsNamed(t *testing.T) {
	for _, c := range []struct{ first, second string }{{"lock Pen[0]", "lock Pen[1]"}, {"lock Book", "lock Pen[0]"}, {"read Lamp", "lock Book"}} {
		t.Run(c.first+", "+c.second, func(t *testing.T) {
			name := "interlock-inspect-" + fmt.Sprint(os.Getpid())
			t.Cleanup(func() { _ = os.Remove("/dev/shm/" + name) })
			first, second := c.first[5:], c.second[5:]
			a := newChild(t, "create "+name, c.first)
			b := newChild(t, "open "+name, c.second)
			a.begin(c.second)
			wants := c.first
			if wants == "read Lamp" {
				wants = "write Lamp"
			}
			b.begin(wants)
			awaitWaiters(t, name, first, 1)
			awaitWaiters(t, name, second, 1)

			require.Eventually(t, func() bool { return len(examined(t, name).Cycles) > 0 }, 10*time.Second, time.Millisecond)
			g := examined(t, name)
			blocked := func(who *child, holds, waits string, owner *child) string {
				return fmt.Sprintf("process %d holds %s and waits for %s, held by process %d", who.pid(), holds, waits, owner.pid())
			}
			one, other := blocked(a, first, second, b), blocked(b, second, first, a)
			require.Len(t, g.Cycles, 1)
			require.Contains(t, []string{one + "; " + other, other + "; " + one}, g.Cycles[0])

			// It is gone with one of the two.
			b.kill()
			require.Empty(t, examined(t, name).Cycles)
		})
	}
}

func TestTheDeadAreDead(t *testing.T) {
	for _, c := range []struct{ path, hold, state string }{
		{"Pen[0]", "lock Pen[0]", "process %d (dead)"},
		{"Book", "lock Book", "owner died"},
		{"Lamp", "write Lamp", "process %d (dead) writes"},
		{"Chair", "take Chair", "0 process %d (dead)"},
	} {
		t.Run(c.path, func(t *testing.T) {
			name := "interlock-inspect-" + fmt.Sprint(os.Getpid())
			t.Cleanup(func() { _ = os.Remove("/dev/shm/" + name) })
			newChild(t, "create "+name)
			b := newChild(t, "open "+name, c.hold)
			b.kill()
			g := examined(t, name)
			o := object(t, g, c.path)
			if c.path != "Book" {
				require.Equal(t, []inspect.Holder{{PID: b.pid(), State: inspect.Dead, Member: o.Holders[0].Member}}, o.Holders)
				c.state = fmt.Sprintf(c.state, b.pid())
			}
			require.Equal(t, c.state, o.State)
			last := g.Processes[len(g.Processes)-1]
			require.Equal(t, b.pid(), last.PID)
			require.Equal(t, inspect.Dead, last.State)
			require.False(t, g.Stale)
		})
	}
}

func TestTheStoppedAreStopped(t *testing.T) {
	name := newName(t)
	a := newChild(t, "create "+name, "lock Pen[0]")
	b := newChild(t, "open "+name)
	b.begin("lock Pen[0]")
	a.stop()
	o := object(t, awaitWaiters(t, name, "Pen[0]", 1), "Pen[0]")
	require.Equal(t, fmt.Sprintf("process %d (stopped)", a.pid()), o.State)
	require.Equal(t, inspect.Stopped, o.Holders[0].State)
	require.Equal(t, inspect.Running, o.Waiters[0].State)
	b.stop()
	require.Equal(t, inspect.Stopped, object(t, examined(t, name), "Pen[0]").Waiters[0].State)
}

func TestOfManyIdleElementsAFewAreShown(t *testing.T) {
	name := newName(t)
	newChild(t, "create "+name)
	g := examined(t, name)
	require.Equal(t, "0", object(t, g, "Shelf[31]").State)
	for _, o := range g.Objects {
		require.NotEqual(t, "Shelf[32]", o.Path)
	}
}

func TestTheMemfdsOfAProcess(t *testing.T) {
	a := newChild(t, "memfd inspected", "lock Pen[0]")
	b := newChild(t, "memfd inspected")
	r, err := inspect.Look()
	require.NoError(t, err)
	_, err = r.Find("memfd:inspected")
	require.ErrorContains(t, err, "several have that name")

	require.True(t, r.Of(a.pid()))
	require.Len(t, r.Regions, 1)
	g, err := r.Find("memfd:inspected")
	require.NoError(t, err)
	require.Equal(t, inspect.Memfd, g.Kind)
	require.NoError(t, r.Examine(g))
	require.Equal(t, []int{a.pid()}, holders(object(t, g, "Pen[0]")))
	require.Len(t, g.Processes, 1)
	require.False(t, r.Of(-1))

	b.kill()
	r, g = listed(t, "memfd:inspected")
	require.Empty(t, r.Collect([]*inspect.Region{g}).Remove)
}

func TestASegment(t *testing.T) {
	a := newChild(t, "segment -", "lock Book")
	r, err := inspect.Look()
	require.NoError(t, err)
	require.True(t, r.Of(a.pid()))
	require.Len(t, r.Regions, 1)
	g := r.Regions[0]
	require.Equal(t, inspect.Segment, g.Kind)
	require.NoError(t, r.Examine(g))
	require.Equal(t, []int{a.pid()}, holders(object(t, g, "Book")))
	require.NotEmpty(t, r.Collect(r.Regions).Keep)

	a.kill()
	r, g = listed(t, g.Name)
	require.True(t, g.Stale, g.Reason)
	c := r.Collect([]*inspect.Region{g})
	require.Len(t, c.Remove, 1)
	require.NoError(t, c.Carry())
	require.Len(t, c.Remove, 1)
	_, g = listed(t, g.Name)
	require.Nil(t, g)
}

func TestANamedSemaphore(t *testing.T) {
	name := newName(t)
	s, err := sem.CreateNamed(name, 0, 0)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.NoError(t, sem.UnlinkNamed(name))
	})
	a := newChild(t)
	a.begin("named " + name)
	g := awaitWaiters(t, "sem."+name, "Semaphore", 1)
	require.Equal(t, inspect.Semaphore, g.Kind)
	require.Equal(t, a.pid(), object(t, g, "Semaphore").Waiters[0].PID)
	require.Equal(t, a.pid(), g.Processes[0].PID)
	_, g = listed(t, "sem."+name)
	require.Equal(t, "0 permits, 1 waiting", g.State)

	a.kill()
	r, g := listed(t, "sem."+name)
	require.Empty(t, g.Processes)
	c := r.Collect([]*inspect.Region{g})
	require.Empty(t, c.Remove, "its permits are somebody's yet to come")
	require.NotEmpty(t, c.Keep[0].Reason)
}

func TestASemaphoreSet(t *testing.T) {
	s, err := sem.CreateSet(sem.Private, 0, 3, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Remove()) })
	r, g := listed(t, fmt.Sprintf("set:%d", s.ID()))
	require.NotNil(t, g, r.Names())
	require.Equal(t, "3 0", g.State)
	require.NoError(t, r.Examine(g))
	require.Contains(t, object(t, g, "[0]").State, "3 permits")
	require.Empty(t, r.Collect([]*inspect.Region{g}).Remove)
}

func TestGarbageIsWhatNobodyHas(t *testing.T) {
	name := newName(t)
	a := newChild(t, "create "+name)
	b := newChild(t, "open "+name)

	keep := func(because string) {
		t.Helper()
		r, g := listed(t, name)
		c := r.Collect([]*inspect.Region{g})
		require.Empty(t, c.Remove)
		require.Contains(t, c.Keep[0].Reason, because)
		require.NoError(t, c.Carry())
		require.FileExists(t, "/dev/shm/"+name)
	}
	keep(fmt.Sprintf("process %d has it", a.pid()))
	a.kill()
	keep(fmt.Sprintf("process %d has it", b.pid()))
	b.stop()
	keep(fmt.Sprintf("process %d has it, and is stopped", b.pid()))
	b.kill()

	// Somebody whom the look does not see, as in another pid namespace: this process
	// does not look at itself.
	f, err := os.OpenFile("/dev/shm/"+name, os.O_RDWR, 0)
	require.NoError(t, err)
	keep("cannot be seen")
	require.NoError(t, f.Close())

	r, g := listed(t, name)
	c := r.Collect([]*inspect.Region{g})
	require.Len(t, c.Remove, 1)
	require.FileExists(t, "/dev/shm/"+name, "it says only what it would do")

	// Another one has taken the name since.
	require.NoError(t, os.Rename("/dev/shm/"+name, "/dev/shm/"+name+"-before"))
	t.Cleanup(func() { _ = os.Remove("/dev/shm/" + name + "-before") })
	newChild(t, "create "+name).kill()
	require.NoError(t, c.Carry())
	require.Empty(t, c.Remove)
	require.Contains(t, c.Keep[0].Reason, "another one")
	require.FileExists(t, "/dev/shm/"+name)

	r, g = listed(t, name)
	c = r.Collect([]*inspect.Region{g})
	require.NoError(t, c.Carry())
	require.Len(t, c.Remove, 1)
	require.True(t, c.Done)
	require.NoFileExists(t, "/dev/shm/"+name)
}

// A region of before the machine's last start is garbage, whoever has its creator's
// process id now.
func TestARegionOfAnEarlierBootIsGarbage(t *testing.T) {
	name := newName(t)
	const bootID = 64 // its place in the header
	content := file(t)
	content[bootID]++
	require.NoError(t, os.WriteFile("/dev/shm/"+name, content, 0o600))
	r, g := listed(t, name)
	require.True(t, g.Stale)
	require.False(t, g.Creator.Running)
	require.Contains(t, g.Reason, "before the machine's last start")
	c := r.Collect([]*inspect.Region{g})
	require.NoError(t, c.Carry())
	require.Len(t, c.Remove, 1)
	require.NoFileExists(t, "/dev/shm/"+name)
}

// The process id of a member that was not marked dead is another process's now.
func TestAReusedProcessIDIsNotTheProcess(t *testing.T) {
	name := newName(t)
	a := newChild(t, "create "+name, "lock Pen[0]")
	b := newChild(t)
	path := filepath.Join(t.TempDir(), "copy")
	content, err := os.ReadFile("/dev/shm/" + name)
	require.NoError(t, err)
	f, err := os.Open("/dev/shm/" + name)
	require.NoError(t, err)
	defer f.Close()
	d, err := shm.Describe(f, uint64(len(content)))
	require.NoError(t, err)
	table := (*robust.Table)(unsafe.Pointer(&content[d.MembersAt]))
	require.EqualValues(t, a.pid(), table.Members[0].Pid)
	table.Members[0].Pid, table.Members[0].Joined = uint32(b.pid()), 1
	require.NoError(t, os.WriteFile(path, content, 0o600))

	g := examined(t, path)
	require.Len(t, g.Processes, 1)
	require.Equal(t, inspect.Missing, g.Processes[0].State)
	require.True(t, g.Processes[0].Reused)
}

func TestALookChangesNothing(t *testing.T) {
	name := newName(t)
	newChild(t, "create "+name, "lock Pen[0]")
	before, err := os.ReadFile("/dev/shm/" + name)
	require.NoError(t, err)
	examined(t, name)
	after, err := os.ReadFile("/dev/shm/" + name)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestWhatMayNotBeReadIsSaidToBe(t *testing.T) {
	name := newName(t)
	newChild(t, "create "+name)
	childtest.Run(t, "nobody looks", name)
}

func nobodyLooks(args []string) error {
	if err := childtest.Nobody(); err != nil {
		return err
	}
	r, err := inspect.Look()
	if err != nil {
		return err
	}
	g, err := r.Find(args[0])
	if err != nil || g == nil || g.Error != "no permission" || r.Hidden == 0 {
		return fmt.Errorf("%v: found %+v, %d hidden", err, g, r.Hidden)
	}
	if c := r.Collect([]*inspect.Region{g}); len(c.Remove) > 0 {
		return fmt.Errorf("would remove %s", g.Name)
	}
	return r.Examine(g)
}

// file is a region in a file, as bytes.
func file(t testing.TB) []byte {
	m, err := shm.Memfd[desk]("bytes")
	require.NoError(t, err)
	info, err := m.File().Stat()
	require.NoError(t, err)
	b := make([]byte, info.Size())
	_, err = m.File().ReadAt(b, 0)
	require.NoError(t, err)
	require.NoError(t, m.Close())
	return b
}

// examineFile looks at whatever lies in a file.
func examineFile(t testing.TB, r *inspect.Report, path string) *inspect.Region {
	g, err := r.Find(path)
	if err != nil {
		return nil
	}
	require.NotNil(t, g)
	require.NoError(t, r.Examine(g))
	r.Collect([]*inspect.Region{g})
	for _, o := range g.Objects {
		require.NotContains(t, o.Path+o.Kind+o.State, "\x1b")
	}
	return g
}

func TestAFileThatShrinksMeanwhileIsAnError(t *testing.T) {
	content := file(t)
	path := filepath.Join(t.TempDir(), "region")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	r, err := inspect.Look()
	require.NoError(t, err)
	for size := len(content) - 1; size >= 0; size -= 97 {
		g, err := r.Find(path)
		require.NoError(t, err)
		require.Empty(t, g.Error)
		require.NoError(t, os.Truncate(path, int64(size)))
		require.NoError(t, r.Examine(g))
		require.NotEmpty(t, g.Error, "%d bytes", size)
		require.NoError(t, os.WriteFile(path, content, 0o600))
	}

	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
				_ = unix.Truncate(path, 100)
				_ = unix.Truncate(path, int64(len(content)))
			}
		}
	}()
	for begun := time.Now(); time.Since(begun) < 300*time.Millisecond; {
		examineFile(t, r, path)
	}
	close(done)
	<-stopped
}

// A region may say that it has more than there is time and memory to look at.
func TestARegionWithoutEndIsLookedAtInTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "region")
	for _, text := range []string{
		"struct 2147483640\nA|mutex|0 4 [536870910]\n",
		"struct 2147483640\nA|telepathy|0 2147483640\n",
		"struct 2147483640\nA|cell int64|0 8 [268435455]\n",
	} {
		s, err := shm.ParseSchema(text)
		require.NoError(t, err)
		content := append(file(t)[:4096:4096], make([]byte, 8192)...)
		le := binary.LittleEndian
		clear(content[96:])
		copy(content[96:], text)
		size := uint64(12288 + 2147483640 + 8)
		for at, v := range map[int]uint64{16: size, 24: s.Hash(), 32: 12288, 40: uint64(s.Size), 48: size &^ 4095, 56: 0} {
			le.PutUint64(content[at:], v)
		}
		size = (size + 4095) &^ 4095
		le.PutUint64(content[16:], size)
		le.PutUint64(content[48:], size)
		le.PutUint32(content[84:], uint32(len(text)))
		require.NoError(t, os.WriteFile(path, append(content, bytes.Repeat([]byte{1}, 1<<20)...), 0o600))
		require.NoError(t, os.Truncate(path, int64(size)))
		r, err := inspect.Look()
		require.NoError(t, err)
		begun := time.Now()
		g := examineFile(t, r, path)
		require.Empty(t, g.Error)
		require.LessOrEqual(t, len(g.Objects), 20_000)
		require.Less(t, time.Since(begun), 20*time.Second)
	}
}

func FuzzRegion(f *testing.F) {
	content := file(f)
	path := filepath.Join(f.TempDir(), "region")
	r, err := inspect.Look()
	require.NoError(f, err)
	f.Add(uint32(0), []byte("INTRLOCK"), uint32(0))
	f.Add(uint32(4096), []byte("\xff\xff\xff\xff\xff\xff\xff\xff"), uint32(0))
	f.Add(uint32(8192), make([]byte, 4096), uint32(5000))
	f.Fuzz(func(t *testing.T, at uint32, change []byte, cut uint32) {
		b := append([]byte(nil), content...)
		copy(b[int(at)%len(b):], change)
		b = b[:len(b)-int(cut)%len(b)]
		require.NoError(t, os.WriteFile(path, b, 0o600))
		examineFile(t, r, path)
	})
}
