package sysv

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	setsText = `       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime
        81          3   600          2     0     0     0     0 1700000001 1700000000
-1879048192 2147483647  1666      32000 65534 65534 4294967295     0          0 1700000000
`
	segmentsText = `       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap
         0          1  1600                  8192  4711     0      2     0     0     0     0          0          0 1700000000                  4096                     0
`
)

func TestTheTablesAreRead(t *testing.T) {
	sets, err := parseSets(setsText)
	require.NoError(t, err)
	require.Equal(t, []SetInfo{
		{Key: 81, ID: 3, Mode: 0o600, Semaphores: 2, Operated: 1700000001, Changed: 1700000000},
		{Key: -1879048192, ID: 1<<31 - 1, Mode: 0o1666, Semaphores: 32000, UID: 65534, GID: 65534, CUID: 1<<32 - 1, Changed: 1700000000},
	}, sets)
	segments, err := parseSegments(segmentsText)
	require.NoError(t, err)
	require.Equal(t, []SegmentInfo{{ID: 1, Mode: 0o1600, Size: 8192, Creator: 4711, Attached: 2, Set: 1700000000}}, segments)
}

func TestATableThatIsNoneIsAnError(t *testing.T) {
	for _, c := range []struct{ change, to, cause string }{
		{"nsems", "sems", "line 2: no column nsems"},
		{"   600 ", "   689 ", `line 2: column perms: strconv.ParseUint: parsing "689": invalid syntax`},
		{"2147483647", "2147483648", `line 3: column semid: strconv.ParseInt: parsing "2147483648": value out of range`},
		{" 32000", " -1", `line 3: column nsems: strconv.ParseUint: parsing "-1": invalid syntax`},
		{"1700000001 ", "", "line 2: 9 columns, 10 names"},
		{"ctime\n", "ctime\n\n", "line 2: 0 columns, 10 names"},
	} {
		_, err := parseSets(strings.Replace(setsText, c.change, c.to, 1))
		require.EqualError(t, err, c.cause)
	}
	sets, err := parseSets("")
	require.NoError(t, err)
	require.Empty(t, sets)
}

// What is read is what the kernel says of the same object, by its call.
func TestWhatExistsIsListed(t *testing.T) {
	id := privateSet(t, 3)
	require.NoError(t, SemSetValues(id, []uint16{1, 2, 3}))
	info, err := SemStat(id)
	require.NoError(t, err)
	require.Equal(t, 3, info.Semaphores)
	require.EqualValues(t, 0o600, info.Mode)
	sets, err := Sets()
	require.NoError(t, err)
	require.Contains(t, sets, *info)

	segment := privateSegment(t, 12345)
	stat, err := ShmStat(segment)
	require.NoError(t, err)
	require.EqualValues(t, 12345, stat.Size)
	segments, err := Segments()
	require.NoError(t, err)
	require.Contains(t, segments, *stat)
}

// Whatever the text, it is read or refused; and what was read, written as the
// kernel writes it, is read the same.
func FuzzTables(f *testing.F) {
	f.Add(setsText)
	f.Add(segmentsText)
	f.Add("")
	f.Add("key\n\n")
	f.Add(strings.Replace(setsText, "otime", "ctime", 1))
	f.Fuzz(func(t *testing.T, text string) {
		if sets, err := parseSets(text); err == nil {
			var b strings.Builder
			b.WriteString("key semid perms nsems uid gid cuid cgid otime ctime\n")
			for _, s := range sets {
				fmt.Fprintf(&b, "%10d %10d  %4o %10d %5d %5d %5d %5d %10d %10d\n",
					int32(s.Key), s.ID, s.Mode, s.Semaphores, s.UID, s.GID, s.CUID, s.CGID, s.Operated, s.Changed)
			}
			again, err := parseSets(b.String())
			require.NoError(t, err)
			require.Equal(t, sets, again)
		}
		if segments, err := parseSegments(text); err == nil {
			var b strings.Builder
			b.WriteString("key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime\n")
			for _, s := range segments {
				fmt.Fprintf(&b, "%10d %10d  %4o %21d %5d %5d  %5d %5d %5d %5d %5d %10d %10d %10d\n",
					int32(s.Key), s.ID, s.Mode, s.Size, s.Creator, s.Last, s.Attached, s.UID, s.GID, s.CUID, s.CGID, s.AttachedAt, s.DetachedAt, s.Set)
			}
			again, err := parseSegments(b.String())
			require.NoError(t, err)
			require.Equal(t, segments, again)
		}
	})
}
