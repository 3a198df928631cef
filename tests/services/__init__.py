"""Real servers for the tests: started on free ports of the loopback interface, with few resources, stopped afterwards."""
