package bench

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed c
var sources embed.FS

// errNoCompiler is why there are no contestants in C.
var errNoCompiler = errors.New("no cc")

// compiled are the C programs, by the name of their source without its ending.
type compiled map[string]string

// compile builds all C programs in a folder.
func compile(folder string) (compiled, error) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		return nil, errNoCompiler
	}
	files, err := sources.ReadDir("c")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		text, err := sources.ReadFile("c/" + f.Name())
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, f.Name()), text, 0o600)
		}
		if err != nil {
			return nil, err
		}
	}
	programs := compiled{}
	for _, f := range files {
		name, isSource := strings.CutSuffix(f.Name(), ".c")
		if !isSource {
			continue
		}
		programs[name] = filepath.Join(folder, name)
		out, err := exec.Command(cc, "-O2", "-pthread", "-o", programs[name], programs[name]+".c").CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("cc %s: %w: %s", f.Name(), err, out)
		}
	}
	return programs, nil
}
