package cli

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/spf13/cobra"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/storm"
)

func stormCommand() *cobra.Command {
	var asJSON bool
	var o storm.Options
	cmd := &cobra.Command{
		Use:   "storm",
		Short: "Kill processes with SIGKILL while they use what is to survive that, and look whether it does",
		Long: `Kill processes with SIGKILL while they use what is to survive that, and look
whether it does.

The processes use a RobustMutex, an RWMutex, a Barrier, many Onces, an Owned
semaphore and Conds, in one region. Each is killed at a random moment, some
before they are up, some all at once, and started again. What the objects guard
has to stay whole, deaths have to be reported, and nobody may wait for ever.

The seed decides what the processes do and how long they live. The kernel
decides the rest: a seed does not repeat a storm.`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.For > 0 && !cmd.Flags().Changed("kills") {
				o.Kills = 0
			}
			m := newMeter(cmd.ErrOrStderr())
			o.Progress = func(kills int) {
				if time.Since(m.last) > 200*time.Millisecond {
					m.show(many(kills, "kill"))
				}
			}
			r, err := storm.Run(cmd.Context(), o)
			m.clear()
			if err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), stormReport(o, r))
			} else {
				err = writeStorm(cmd.OutOrStdout(), o, r)
			}
			if err != nil {
				return err
			}
			return verdict(r.Verdict)
		},
	}
	flags := cmd.Flags()
	numberFlag(flags, &o.Kills, "kills", 10_000, 0, "`N` kills, after which it ends; 0: no limit")
	flags.Var(limit{&o.For}, "for", "`TIME` after which it ends, without --kills whatever the number of kills; 0: no limit")
	o.Participants = 6
	flags.Var(number{&o.Participants, 2, storm.MaxParticipants}, "participants", "processes at a time")
	flags.Uint64Var(&o.Seed, "seed", rand.Uint64N(1_000_000), "of the random choices")
	flags.Lookup("seed").DefValue = "a random one"
	jsonFlag(flags, &asJSON, "print one JSON object")
	return cmd
}

type stormJSON struct {
	Mode         string            `json:"mode"`
	Verdict      explore.Verdict   `json:"verdict"`
	Finding      string            `json:"finding"`
	State        []string          `json:"state,omitempty"`
	Participants int               `json:"participants"`
	Seed         uint64            `json:"seed"`
	Kills        int               `json:"kills"`
	Early        int               `json:"kills_early"`
	PerSecond    float64           `json:"kills_per_second"`
	Parks        int               `json:"parks"`
	Sections     uint64            `json:"sections"`
	Deaths       map[string]uint64 `json:"deaths_reported"`
	Seconds      float64           `json:"seconds"`
}

func stormReport(o storm.Options, r *storm.Result) stormJSON {
	return stormJSON{Mode: "storm", Verdict: r.Verdict, Finding: r.Finding, State: r.State,
		Participants: o.Participants, Seed: o.Seed, Kills: r.Kills, Early: r.Early, PerSecond: float64(r.Kills) / r.Seconds,
		Parks: r.Parks, Sections: r.Sections, Deaths: r.Deaths, Seconds: r.Seconds}
}

func writeStorm(w io.Writer, o storm.Options, r *storm.Result) error {
	fmt.Fprintf(w, "storm of %d processes, seed %d: %s", o.Participants, o.Seed, r.Verdict)
	if r.Finding != "" {
		fmt.Fprintf(w, ": %s", r.Finding)
	}
	fmt.Fprintf(w, "\n  %s in %.1f s, %d a second; %d before the process was up\n", many(r.Kills, "kill"), r.Seconds,
		int(float64(r.Kills)/r.Seconds), r.Early)
	_, err := fmt.Fprintf(w, "  %s done; all parked %s\n  deaths reported:", many(int(r.Sections), "section"), many(r.Parks, "time"))
	for i, name := range storm.Reports() {
		if i > 0 {
			fmt.Fprint(w, ",")
		}
		fmt.Fprintf(w, " %s %s", count(int(r.Deaths[name])), name)
	}
	fmt.Fprintln(w)
	for _, line := range r.State {
		fmt.Fprintf(w, "  %s\n", line)
	}
	return err
}
