"""The two servers that Dosette stands on, as child processes; of use to tests as well."""
