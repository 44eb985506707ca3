package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Completion is the command that prints what a shell needs to complete commands and flags.
type Completion struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// scripts ask the program itself, which knows its commands: no server is called and no file but that of the contexts is
// read. Files are completed where the program has no answer.
var scripts = map[string]string{
	"bash": `_roster() {
  local IFS=$'\n'
  COMPREPLY=($(roster complete -- "${COMP_WORDS[@]:1:COMP_CWORD-1}" "${COMP_WORDS[COMP_CWORD]}" 2>/dev/null))
}
complete -o default -F _roster roster
`,
	"zsh": `#compdef roster
_roster() {
  local -a answers
  answers=(${(f)"$(roster complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
  if (( $#answers )); then compadd -- $answers; else _files; fi
}
compdef _roster roster
`,
	"fish": `complete -c roster -a '(roster complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
}

// Run prints the script.
func (c Completion) Run(sh *Shell) error {
	_, err := fmt.Fprint(sh.Out, scripts[c.Shell])
	return err
}

// Complete is the command that the scripts run.
type Complete struct {
	Words []string `arg:"" optional:"" passthrough:""`
}

// Run prints what the last word can become, one to a line.
func (c Complete) Run(line *kong.Context, sh *Shell) error {
	words := slices.Clone(c.Words)
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{""}
	}
	var names []string
	if file, err := (contextStore{sh.Folder}).read(); err == nil {
		for _, saved := range file.Contexts {
			names = append(names, saved.Name)
		}
	}
	for _, answer := range completions(line.Model.Node, words, names) {
		fmt.Fprintln(sh.Out, printable(answer))
	}
	return nil
}

// completions returns what the last of the words can become: a command, a flag or a value of a flag.
func completions(node *kong.Node, words, contexts []string) []string {
	last := words[len(words)-1]
	var awaits *kong.Flag // the flag whose value comes next
	for _, word := range words[:len(words)-1] {
		switch {
		case awaits != nil:
			awaits = nil
		case strings.HasPrefix(word, "-"):
			awaits = flagOf(node, word)
		case len(node.Children) > 0:
			if node = childOf(node, word); node == nil {
				return nil
			}
		}
	}
	var answers []string
	switch {
	case awaits != nil:
		answers = valuesOfFlag(awaits, contexts)
	case strings.HasPrefix(last, "-"):
		for _, flag := range flagsOf(node) {
			answers = append(answers, "--"+flag.Name)
		}
	default:
		for _, child := range node.Children {
			if !child.Hidden {
				answers = append(answers, child.Name)
			}
		}
		for _, argument := range node.Positional {
			answers = append(answers, argument.EnumSlice()...)
		}
	}
	answers = slices.DeleteFunc(answers, func(answer string) bool { return !strings.HasPrefix(answer, last) })
	slices.Sort(answers)
	return answers
}

func childOf(node *kong.Node, word string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == word || slices.Contains(child.Aliases, word) {
			return child
		}
	}
	return nil
}

// flagsOf returns the flags of a command; the settings of the service only where they matter.
func flagsOf(node *kong.Node) []*kong.Flag {
	var flags []*kong.Flag
	for _, group := range node.AllFlags(true) {
		for _, flag := range group {
			if len(flag.Envs) == 0 || !IsRemote(node) {
				flags = append(flags, flag)
			}
		}
	}
	return flags
}

// flagOf returns the flag of a word that takes its value from the next word; nil if there is none.
func flagOf(node *kong.Node, word string) *kong.Flag {
	for _, flag := range flagsOf(node) {
		if (word == "--"+flag.Name || flag.Short != 0 && word == "-"+string(flag.Short)) && !flag.IsBool() {
			return flag
		}
	}
	return nil
}

func valuesOfFlag(flag *kong.Flag, contexts []string) []string {
	if flag.Name == "context" {
		return contexts
	}
	return flag.EnumSlice()
}

// IsRemote reports whether a command is one of Commands.
func IsRemote(node *kong.Node) bool {
	for ; node != nil; node = node.Parent {
		if node.Group != nil && node.Group.Key == "remote" {
			return true
		}
	}
	return false
}
