package sem_test

import (
	"testing"

	"github.com/interlock-go/interlock/internal/childtest"
	"github.com/interlock-go/interlock/internal/exploretest"
)

func TestMain(m *testing.M) {
	childtest.Become(map[string]childtest.Func{
		"count":          countUnderNamed,
		"create forever": createNamedForEver,
		"fault":          namedFault,
		"wait in rounds": waitInRounds,
		"wait second":    waitSecond,
	})
	exploretest.Main(m)
}
