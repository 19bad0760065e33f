package provenance

import (
	"fmt"
	"net/url"
	"strings"
)

// Local is the builder of whoever runs the program by hand.
const Local = "https://github.com/shudl/shudl-assemble/local"

// BuilderID names who runs the program, from the environment of the CI that it
// runs in (getenv is os.Getenv). In GitHub Actions that is the workflow,
// https://github.com/OWNER/REPO/.github/workflows/FILE@REF; in GitLab the
// project's CI configuration, https://gitlab.com/GROUP/PROJECT//FILE@REF. Both
// are how Sigstore's certificate authority writes the same identity into a
// certificate, so that a policy can compare them, and both stay the same from
// run to run, which the number of a job does not. Anywhere else it is Local.
func BuilderID(getenv func(string) string) (string, error) {
	var id string
	switch {
	case getenv("GITHUB_ACTIONS") == "true":
		server, workflow := getenv("GITHUB_SERVER_URL"), getenv("GITHUB_WORKFLOW_REF")
		if server == "" || workflow == "" {
			return "", fmt.Errorf("builder: GITHUB_ACTIONS is set, and GITHUB_SERVER_URL or GITHUB_WORKFLOW_REF is not: pass both on to this job's container")
		}
		id = strings.TrimSuffix(server, "/") + "/" + workflow
	case getenv("GITLAB_CI") == "true":
		project := getenv("CI_PROJECT_URL")
		if project == "" {
			return "", fmt.Errorf("builder: GITLAB_CI is set, and CI_PROJECT_URL is not: pass it on to this job's container")
		}
		id = strings.TrimSuffix(project, "/") + gitlabConfig(getenv)
	default:
		return Local, nil
	}
	return id, checkBuilder(id)
}

// gitlabConfig is the file that configures the pipeline, and the ref that it
// ran for. A configuration that lies elsewhere has no place in the project.
func gitlabConfig(getenv func(string) string) string {
	file := getenv("CI_CONFIG_PATH")
	if file == "" {
		file = ".gitlab-ci.yml"
	}
	var ref string
	switch {
	case getenv("CI_COMMIT_TAG") != "":
		ref = "refs/tags/" + getenv("CI_COMMIT_TAG")
	case getenv("CI_COMMIT_BRANCH") != "":
		ref = "refs/heads/" + getenv("CI_COMMIT_BRANCH")
	default:
		ref = getenv("CI_MERGE_REQUEST_REF_PATH")
	}
	if ref == "" || strings.ContainsAny(file, "@:") {
		return ""
	}
	return "//" + file + "@" + ref
}

// checkBuilder holds a builder's id to the form of an address without secrets.
func checkBuilder(id string) error {
	u, err := url.Parse(id)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("builder: %q is no address", id)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("builder: an address with user, query or fragment: %s://%s%s", u.Scheme, u.Host, u.Path)
	}
	return nil
}
