package storm

import (
	"testing"

	"github.com/interlock-go/interlock/internal/childtest"
	"github.com/interlock-go/interlock/internal/exploretest"
)

func TestMain(m *testing.M) {
	childtest.Become(map[string]childtest.Func{"holds": holds, "waits": waits, "dies": dies, "joins": joins})
	exploretest.Main(m)
}
