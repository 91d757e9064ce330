package sync_test

import (
	"testing"

	"github.com/interlock-go/interlock/internal/exploretest"
)

func TestMain(m *testing.M) { exploretest.Main(m) }
