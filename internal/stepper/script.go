package stepper

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Keys reads a script: keys between blanks, named as terminals name them, numbers,
// and what is typed after a slash, where ~ stands for a blank: "0 r /lock~Fork[1] b q".
func Keys(script string) ([]string, error) {
	var keys []string
	for _, word := range strings.Fields(script) {
		if typed, ok := strings.CutPrefix(word, "/"); ok && typed != "" {
			keys = append(keys, "/")
			for _, r := range strings.ReplaceAll(typed, "~", " ") {
				keys = append(keys, string(r))
			}
			keys = append(keys, "enter")
			continue
		}
		if _, err := strconv.Atoi(word); err != nil && (find(word) == nil || word == "/") {
			return nil, fmt.Errorf("no such key: %q", word)
		}
		keys = append(keys, word)
	}
	return keys, nil
}

// Play presses keys one after the other, up to the key to quit, which it reports.
func (s *Stepper) Play(keys []string) (quit bool) {
	for _, key := range keys {
		if s.Press(key) {
			return true
		}
	}
	return false
}

// Lines is for terminals that cannot be drawn all over: it shows a screen, reads a
// line of keys, and so on, until there is a key to quit or no more.
func (s *Stepper) Lines(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for {
		if _, err := fmt.Fprintf(out, "%s> ", s.Screen(80, 24)); err != nil {
			return err
		}
		if !lines.Scan() {
			fmt.Fprintln(out)
			return lines.Err()
		}
		keys, err := Keys(lines.Text())
		if err != nil {
			s.message = err.Error()
			s.look(false)
			continue
		}
		if s.Play(keys) {
			return nil
		}
	}
}
