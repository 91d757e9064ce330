package sync_test

import (
	"testing"

	"github.com/interlock-go/interlock/internal/childtest"
	"github.com/interlock-go/interlock/internal/exploretest"
)

func TestMain(m *testing.M) {
	childtest.Become(robustChildren)
	exploretest.Main(m)
}
