from sweeps.cluster.connection import connect_cluster


def test_without_an_address_there_is_no_cluster():
    with connect_cluster() as resources:
        assert resources is None
