package pthread_test

import (
	"testing"

	"github.com/interlock-go/interlock/internal/childtest"
	"github.com/interlock-go/interlock/internal/exploretest"
)

func TestMain(m *testing.M) {
	childtest.Become(map[string]childtest.Func{"peer": join})
	exploretest.Main(m)
}
