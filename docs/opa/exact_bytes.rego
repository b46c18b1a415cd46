# A plan has to know what it frees, and to free no more than a tenth of the registry.
package main

import rego.v1

deny contains message if {
	input.impact != "exact"
	message := sprintf("the freed bytes are not exact: %s", [input.impact])
}

deny contains message if {
	input.summary.freedBytes * 10 > input.summary.registryBytes
	message := sprintf("%d of %d bytes would be freed", [input.summary.freedBytes, input.summary.registryBytes])
}
