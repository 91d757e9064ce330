package sem_test

import (
	"fmt"
	"log"
	"os"

	"github.com/interlock-go/interlock/sem"
)

// At most two processes that know the name are at work at the same time. A C
// program joins them with sem_open(name, 0).
func ExampleNamed() {
	name := fmt.Sprintf("/example-%d", os.Getpid())
	workers, err := sem.OpenOrCreateNamed(name, 0o600, 2)
	if err != nil {
		log.Fatal(err)
	}
	defer workers.Close()
	defer sem.UnlinkNamed(name)

	workers.Wait()
	fmt.Println("at work, permits left:", workers.Value())
	if err := workers.Post(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("done, permits left:", workers.Value())
	// Output:
	// at work, permits left: 1
	// done, permits left: 2
}
