package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/shudl/shudl-assemble/recipes"
)

// choices are the recipes and the distro that what is typed so far names.
func (a *app) choices() (*recipes.Set, recipes.Distro, error) {
	distro, err := recipes.ParseDistro(a.distro)
	if err != nil {
		return nil, "", err
	}
	set, err := recipes.Open(a.recipeFolder())
	return set, distro, err
}

// completeImages offers the images of the distro, and their streams after a
// colon.
func (a *app) completeImages(_ *cobra.Command, given []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	set, distro, err := a.choices()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	images, err := set.Images(distro, recipes.LinuxAMD64)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	seen := map[string]bool{}
	for _, g := range given {
		seen[g] = true
	}
	var names []string
	for _, i := range images {
		for _, name := range []string{i.Name, i.Ref.String()} {
			if !seen[name] && strings.HasPrefix(name, toComplete) {
				seen[name] = true
				names = append(names, name+"\t"+i.Summary)
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeStacks offers the stacks of the chosen distro.
func (a *app) completeStacks(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	set, distro, err := a.choices()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, c := range set.Stacks(distro) {
		if strings.HasPrefix(c.Ref.Name, toComplete) {
			names = append(names, c.Ref.Name+"\t"+c.Summary)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
