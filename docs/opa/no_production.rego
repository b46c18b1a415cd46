# Nothing of production goes, whatever the policy of az acr prune says.
package main

import rego.v1

production := ["prod/", "serving/"]

deny contains message if {
	some entry in input.delete
	some prefix in production
	startswith(entry.repository, prefix)
	message := sprintf("%s@%s goes (%s)", [entry.repository, entry.digest, entry.because])
}

deny contains message if {
	some entry in input.untag
	some prefix in production
	startswith(entry.repository, prefix)
	message := sprintf("the tag %s:%s goes (%s)", [entry.repository, entry.tag, entry.because])
}

deny contains message if {
	some entry in input.retire
	some prefix in production
	startswith(entry.repository, prefix)
	message := sprintf("%s@%s cannot be pulled any more (%s)", [entry.repository, entry.digest, entry.because])
}
