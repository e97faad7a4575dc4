"""The benchmark: what a sign-in costs, beside node-oidc-provider in the same run.

`python -m bench` measures and writes `docs/PERFORMANCE.md`; `python -m bench.profile` says where
the product's time goes. Not part of the product and not of the tests: nothing here asserts a time.

    sign_in     the steps of one sign-in, over any connection
    driver      rounds of sign-ins and what they cost the server
    processes   CPU and memory of a process tree, from the operating system
    sekisho, reference, servers     what is started
    measures    the parts of the report; bulk fills the tables for one of them, profile is another
    report      the page
"""
