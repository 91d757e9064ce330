package sem

import (
	"context"

	"github.com/interlock-go/interlock/internal/word"
)

// Narrow1 and Narrow2 are a Fair with one place and with two, in which few tickets
// share a place as it takes 65 to do in a Fair.
type (
	Narrow1 struct {
		data   word.Word64
		places [1]word.Word64
	}
	Narrow2 struct {
		data   word.Word64
		places [2]word.Word64
	}
)

func (f *Narrow1) Init(n uint32) error                   { f.data.Init(uint64(n)); return nil }
func (f *Narrow1) line() line                            { return line{&f.data, f.places[:]} }
func (f *Narrow1) Wait()                                 { _ = f.line().wait(word.Forever) }
func (f *Narrow1) WaitContext(ctx context.Context) error { return f.line().wait(ctx) }
func (f *Narrow1) Post() error                           { return f.line().post() }

func (f *Narrow2) Init(n uint32) error                   { f.data.Init(uint64(n)); return nil }
func (f *Narrow2) line() line                            { return line{&f.data, f.places[:]} }
func (f *Narrow2) Wait()                                 { _ = f.line().wait(word.Forever) }
func (f *Narrow2) WaitContext(ctx context.Context) error { return f.line().wait(ctx) }
func (f *Narrow2) Post() error                           { return f.line().post() }
